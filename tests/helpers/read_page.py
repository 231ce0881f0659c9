"""What several tests of reports share: a page as its tags, words, links and pictures."""

from html.parser import HTMLParser


class Read(HTMLParser):
    """The `tags` of a page, its `words`, its `links`, and its `images`: (source, what it shows) of each."""

    def __init__(self, html):
        super().__init__()
        self.html, self.tags, self.words, self.images, self.links = html, [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.images += [(found["src"], found["alt"])] if tag == "img" else []
        self.links += [found["href"]] if "href" in found else []

    def handle_data(self, data):
        self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(word for word in self.words if word)

    @property
    def shown(self):
        """What its pictures show."""
        return [alt for _, alt in self.images]

    def section(self, title):
        """The text of one section."""
        part = self.html[self.html.index(f"<h2>{title}</h2>") :].partition("</section>")[0]
        return " ".join(Read(part).text.split())
