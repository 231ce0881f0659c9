"""The mouse converter, by property: what a log holds decides the picture, however the log is written."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from toolkit.converters import settings_of
from toolkit.converters.mouse import Mouse
from toolkit.converters.mouse_drawing import CHANNELS
from toolkit.errors import ConversionError, ToolkitError

ALL_CHANNELS = sorted(CHANNELS)


def track(count=300, seed=0):
    """time in seconds, x, y, pressed: a hand that wanders over a screen and clicks now and then."""
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.choice([0.008, 0.016, 0.11, 1.0], count, p=[0.5, 0.3, 0.15, 0.05]))
    x, y = np.clip(800 + np.cumsum(rng.normal(0, 15, (2, count)), axis=1), 0, 2000).round()
    return np.stack([time, x, y, np.arange(count) % 50 == 25], axis=1)


def log(rows, header="time,x,y,button,state", unit=1.0, press=("Left", "Pressed"), rest=("NoButton", "Move"), sep=","):
    lines = [f"{t / unit:.6f},{x:.0f},{y:.0f},{','.join(press if pressed else rest)}" for t, x, y, pressed in rows]
    return "\n".join([header, *lines]).replace(",", sep).encode()


def pixels(image):
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    "same",
    [
        log(track(), "Client Timestamp;X;Y;Button;State", sep=";"),
        log(track(), "timestamp\tpos_x\tpos_y\tbtn\tevent", press=("left", "mousedown"), rest=("", "mousemove"), sep="\t"),
        log(track(), "t,clientX,clientY,button,type", press=("0", "pointerdown"), rest=("0", "pointermove")),
        log(track(), "time_ms,x,y,button,state", unit=1e-3),
        log(track(), "time,x,y,button,state", unit=1e-3),
        log(track(), "t (ms),mouse x,mouse y,button,action", unit=1e-3, press=("none", "LeftButtonDown"), rest=("none", "")),
        b"\xef\xbb\xbf" + log(track(), "Seconds,x,y,button,state", press=("1", "click"), rest=("0", "moved")),
    ],
)
@pytest.mark.parametrize("channels", ALL_CHANNELS)
def test_one_track_written_in_several_ways_is_one_picture(same, channels):
    mouse = Mouse(channels=channels)
    assert np.abs(pixels(mouse(same)) - pixels(mouse(log(track())))).max() <= 1  # millisecond times are rounded


def test_the_mouse_clock_is_preferred_to_the_recorder_and_columns_stand_in_any_order():
    header = "record timestamp,client timestamp,button,state,x,y"
    rows = [f"{9 * t:.3f},{t:.6f},NoButton,Move,{x:.0f},{y:.0f}" for t, x, y, _ in track()]
    events = Mouse().read("\n".join([header, *rows]).encode())
    assert events.time[-1] == pytest.approx(track()[-1, 0] - track()[0, 0], abs=1e-5)


def test_words_for_buttons_and_states():
    rows = ["Left,Pressed", "NoButton,Drag", "Left,Released", "Right,Pressed", "Scroll,Down", "wheel,scroll", ",wheel", "M,up"]
    text = "time,x,y,button,state\n" + "".join(f"{i},{i},{i},{row}\n" for i, row in enumerate(rows))
    events = Mouse().read(text.encode())
    assert events.state.tolist() == [1, 3, 2, 1, 4, 4, 4, 2]
    assert events.button.tolist() == [1, 0, 1, 2, 4, 4, 4, 3]
    held = "time,x,y,button\n" + "".join(f"{i},{i},{i},{word}\n" for i, word in enumerate(["", "left", "left", "", ""]))
    assert Mouse().read(held.encode()).state.tolist() == [0, 1, 3, 2, 0]


def test_rows_without_a_place_are_left_out_and_counted():
    lines = log(track()).decode().splitlines()
    lines[100:100] = [
        "1,65535,65535,NoButton,Move",
        "1,-70000,20,NoButton,Move",
        "1,4,4,NoButton,focus",
        "1,abc,5,NoButton,Move",
        "2",
    ]
    events = Mouse().read("\n".join(lines).encode())
    assert len(events) == 300
    assert sorted(events.dropped.values()) == [1, 2, 2]  # a state, off the screen, no numbers
    assert Mouse()("\n".join(lines).encode()).tobytes() == Mouse()(log(track())).tobytes()


def test_one_row_without_numbers_among_many_is_counted_and_many_are_refused():
    lines = log(track()).decode().splitlines()
    lines[7] = "1,nan,4,NoButton,Move"
    assert Mouse().read("\n".join(lines).encode()).dropped == {"cells missing or not numbers": 1}
    lines[8:60] = [lines[7]] * 52
    with pytest.raises(ConversionError, match="row 8: x is 'nan', expected a number"):
        Mouse().read("\n".join(lines).encode())


def test_rows_out_of_order_are_sorted_by_time():
    rows = track()
    shuffled = np.random.default_rng(1).permutation(rows)
    assert np.array_equal(Mouse().read(log(shuffled)).x, rows[:, 1])


@pytest.mark.parametrize("channels", ALL_CHANNELS)
@pytest.mark.parametrize("settings", [{}, {"keep": "fill", "line": 3}, {"span": 500, "size": 97}])
def test_a_mirrored_track_gives_a_mirrored_picture(channels, settings):
    rows = track()
    mirrored = rows * [1, -1, 1, 1] + [0, 2500, 0, 0]
    mouse = Mouse(channels=channels, **settings)
    assert np.abs(pixels(mouse(log(rows)))[:, ::-1] - pixels(mouse(log(mirrored)))).max() <= 1
    assert np.abs(pixels(mouse(log(rows))) - pixels(mouse(log(mirrored)))).max() > 100


@pytest.mark.parametrize("channels", ALL_CHANNELS)
def test_where_the_track_lies_and_when_it_began_do_not_matter(channels):
    mouse = Mouse(channels=channels)
    assert np.abs(pixels(mouse(log(track() + np.array([1000, 300, 70, 0])))) - pixels(mouse(log(track())))).max() <= 1


def test_lines_join_the_events_and_a_circle_surrounds_a_click():
    corners = np.array([[0, 0, 0, 0], [1, 100, 0, 0], [2, 100, 100, 1], [3, 0, 100, 0]])
    picture = pixels(Mouse(channels="plain")(log(corners)))
    low, high = 3, 60  # the margin leaves room for the circle
    assert picture[low, 10:50].min() > 200  # from corner to corner
    assert picture[10:50, high].min() > 200
    assert picture[20:50, low].max() == 0  # the track is open on the left
    assert (picture[56:, 56:, 0] - picture[56:, 56:, 1]).max() > 150  # red at the click, and at no other corner
    assert (picture[:50, :, 0] - picture[:50, :, 1]).max() == 0


def test_speed_and_buttons_have_their_colours():
    slow_then_fast = np.array([[0, 0, 0, 0], [2, 100, 0, 0], [2.05, 200, 0, 0]])
    picture = pixels(Mouse(channels="speed")(log(slow_then_fast))).max(axis=0)
    assert (picture[10:25].mean(axis=0) < picture[40:55].mean(axis=0)).tolist() == [True, False, True]
    rows = track()
    left = pixels(Mouse(channels="buttons")(log(rows))).max(axis=(0, 1))
    right = pixels(Mouse(channels="buttons")(log(rows, press=("Right", "Pressed")))).max(axis=(0, 1))
    assert (left > 200).tolist() == [True, True, False]
    assert (right > 200).tolist() == [True, False, True]


def test_keep_holds_the_proportions_fill_fills_the_picture_and_span_fixes_the_scale():
    wide = np.array([[i / 100, 10 * i, (-1) ** i * 50 + 50, 0] for i in range(100)])

    def tall(**settings):
        rows = np.flatnonzero(pixels(Mouse(channels="plain", **settings)(log(wide))).any(axis=(1, 2)))
        return rows[-1] - rows[0]

    assert tall() < 10 < 50 < tall(keep="fill")
    assert tall(span=200) == pytest.approx(32, abs=2)
    assert Mouse(line=6, channels="plain")(log(wide)).tobytes() != Mouse(channels="plain")(log(wide)).tobytes()


def test_a_long_line_through_a_narrow_view_is_cut_to_it_and_drawing_in_halves_is_no_other_drawing(monkeypatch):
    far = np.array([[0, 0, 30_000, 0], [1, 60_000, 30_000, 0], [2, 60_000, 0, 0], [3, 0, 60_000, 1]])
    picture = pixels(Mouse(channels="plain", span=1, size=512)(log(far)))
    assert picture[255:257, 5:-5].sum(axis=0).min() > 200
    assert picture[:250, :250].max() == 0
    whole = pixels(Mouse(channels="speed")(log(track())))
    monkeypatch.setattr("toolkit.converters.mouse_drawing.AT_ONCE", 500)
    assert np.abs(pixels(Mouse(channels="speed")(log(track()))) - whole).max() <= 1


def test_arrays_of_events_are_drawn_like_the_log_they_were_read_from():
    mouse = Mouse()
    events = mouse.read(log(track()))
    columns = np.stack(events.columns, axis=1)
    fields = np.rec.fromarrays(events.columns, names="time,x,y,button,state")
    drawn = {mouse.draw(given).tobytes() for given in (events, columns, fields)}
    assert drawn == {mouse(log(track())).tobytes()}
    for wrong in (np.zeros(5), columns[:, :2], columns[:0], columns.astype(str), columns * np.nan, [1, 2], None):
        with pytest.raises(ConversionError):
            mouse.draw(wrong)


@pytest.mark.parametrize("channels", ALL_CHANNELS)
def test_scrolling_in_one_place_is_drawn_and_resting_there_is_not(channels):
    rows = "".join(f"{i},700,300,Scroll,Down\n" for i in range(100))
    assert pixels(Mouse(channels=channels)(b"time,x,y,button,state\n" + rows.encode())).max() > 100
    with pytest.raises(ConversionError, match="no movement"):
        Mouse(channels=channels)(b"time,x,y,button,state\n" + rows.replace("Scroll,Down", ",Move").encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "empty"),
        (b"time,x,y\n", "no events"),
        (b"time,x,y\n1,2,3\n", "no movement"),
        (b"time,x,y\n1,2,3\n2,2,3\n", "no movement"),
        (b"time,x,y\n1,2,3\n2,b,3\n", "row 3: x is 'b', expected a number"),
        (b"time,x,y\n1,2,3\n2,4\n", "row 3: 2 cells, expected 3"),
        (b"time,x,y\n1,65535,3\n2,65535,3\n", "2 off the screen"),
        (b"time,x\n1,2\n", "no column for y"),
        (b"1.5,2,3\n2,4,5\n", "no column for time and x and y"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", ""),
        (b"PK\3\4\0\0\0\0" + bytes(range(256)) * 40, ""),
    ],
)
def test_what_is_no_log_is_refused_with_the_reason(text, expected):
    with pytest.raises(ConversionError, match=f"^<{len(text)} bytes>: .*{expected}"):
        Mouse()(text)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for source in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(ConversionError, match=str(source)):
            list(Mouse(length=10).windows(source))


@pytest.mark.parametrize(
    "settings",
    [
        *({"channels": "red"}, {"keep": "no"}, {"unit": "hours"}, {"size": 3}, {"size": 64.5}, {"line": 0}, {"length": -1}),
        *({"length": 2.5}, {"length": 1}, {"antialias": "yes"}, {"span": "wide"}, {"size": None}, {"step": math.nan}),
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ToolkitError, match=f"mouse: {next(iter(settings))}"):
        Mouse(**settings)


def test_settings_travel_and_the_picture_has_their_size():
    mouse = Mouse(size=40, channels="speed", length=30.0, unit="seconds")
    again = Mouse(**settings_of(mouse))
    image = again(log(track()))
    assert again == mouse
    assert (image.mode, image.size) == ("RGB", (40, 40))


def test_the_same_pixels_in_another_process(tmp_path):
    (tmp_path / "log.csv").write_bytes(log(track()))
    code = "import sys, hashlib; from toolkit.converters.mouse import Mouse; "
    code += "print(hashlib.sha1(Mouse()(sys.argv[1]).tobytes()).hexdigest(), 'scipy' in sys.modules)"
    runs = {
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "log.csv")], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert runs.pop().endswith("False\n")


def test_windows_of_events_cover_the_session_and_equal_the_drawing_of_their_events():
    mouse = Mouse(length=64, step=32)
    events = mouse.read(log(track()))
    windows = list(mouse.windows(log(track())))
    assert len(windows) == (300 - 64) // 32 + 1
    for number, (start, stop, image) in enumerate(windows):
        chosen = events.part(slice(32 * number, 32 * number + 64))
        assert (start, stop) == (chosen.time[0], chosen.time[-1])
        assert image.tobytes() == mouse.draw(chosen).tobytes()


def test_windows_of_seconds_pass_over_a_long_absence():
    rows = track()
    rows[150:, 0] += 1e7  # months
    mouse = Mouse(length=4.0, unit="seconds")
    events = mouse.read(log(rows))
    given = list(mouse.segments(log(rows)))
    assert all(start % 4 == 0 and stop == start + 4 for start, stop, _ in given)
    assert all(start <= e.time[0] and e.time[-1] < stop for start, stop, e in given)
    full = events.time < events.time[-1] // 4 * 4  # the last window is not full
    assert 0 <= full.sum() - sum(len(e) for _, _, e in given) < 20  # windows with no movement are left out


def test_times_that_no_clock_shows_end_in_an_error_and_not_in_an_endless_loop():
    with pytest.raises(ConversionError, match="seconds apart"):
        list(Mouse(length=1, unit="seconds").windows(b"time_s,x,y\n1,2,3\n2,3,4\n1e300,4,5\n"))


def test_a_session_too_short_for_a_window_gives_one():
    for mouse in (Mouse(length=1000), Mouse(length=1e6, unit="seconds"), Mouse()):
        (start, stop, image), *more = mouse.windows(log(track()))
        assert (start, more) == (0.0, [])
        assert stop == mouse.read(log(track())).time[-1]
        assert image.tobytes() == mouse(log(track())).tobytes()
    with pytest.raises(ConversionError, match="no movement"):
        list(Mouse(length=2).windows(b"time,x,y\n1,5,5\n2,5,5\n3,5,5\n"))


@pytest.mark.parametrize("settings", [{"length": 100}, {"length": 100, "step": 30_000}, {"length": 2.0, "unit": "seconds"}])
def test_windows_stream(tmp_path, settings):
    path = tmp_path / "long.csv"

    def peak(count):
        path.write_text("time,x,y\n" + "".join(f"{i / 50},{i % 900},{i % 700}\n" for i in range(count)))
        tracemalloc.start()
        for _ in Mouse(size=16, channels="plain", **settings).segments(path):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(100_000) < 1.5 * peak(20_000)


def test_what_is_too_long_for_one_picture_says_so(monkeypatch):
    monkeypatch.setattr("toolkit.converters.mouse.MAX_EVENTS", 200)
    with pytest.raises(ConversionError, match="cut it into windows"):
        Mouse()(log(track()))


def test_a_chart_of_many_events_is_as_bright_as_one_of_few():
    rows = track(5000)
    few, many = (pixels(Mouse()(log(rows[:n]))).mean(axis=(0, 1)) for n in (1000, 5000))
    assert np.abs(few[1:] - many[1:]).max() < 0.35 * few[1:].max()


def test_the_picture_is_an_image_a_network_can_be_given():
    image = Mouse()(log(track()))
    assert (image.mode, image.size) == ("RGB", (64, 64))
    assert all(plane.std() > 5 for plane in np.moveaxis(pixels(image), -1, 0))
