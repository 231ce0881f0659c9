"""From a folder or a table to a fastai Learner, an honest score and a program that runs without fastai.

The rooms, ground floor first (a room imports only from its own and lower floors):

1. `errors`, `files`, `needs`, `spec`, `tasks`: the error tree, atomic writes, missing packages named, what a learner was built
   as, the table of tasks.
2. `converters`: raw input -> image.
3. `program`: the runtime; opens a `program.pyz` and predicts, without torch or fastai.
4. `data`: find items and labels, read each once, split without leaks.
5. `learning`: the fastai side. `evaluation`: scores on the test set.
6. `export`: Learner -> program. `reports`: scores -> pages and pictures.

Inside each room every task has a wing. Nothing is imported here: `import toolkit` costs nothing.
"""

__version__ = "0.1.0"
