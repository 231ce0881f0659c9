"""The runtime: open a `program.pyz`, put an item in, get a prediction out. It needs numpy, pillow and onnxruntime.

    from toolkit.program import load
    program = load("program.pyz")
    print(program.predict("photo.jpg"))

This room travels inside every program; nothing in it imports torch, fastai or pandas.
"""

from toolkit.program.program import Program, load

__all__ = ["Program", "load"]
