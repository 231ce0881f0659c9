"""One thin module for each task: a function that builds a fastai Learner, and a script. `python -m recipes` lists them."""
