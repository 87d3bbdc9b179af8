"""From a table to a trained, tested model in one call.

>>> from thalweg.tabular import fit_table
>>> run = fit_table("iris", "target", epochs=40, progress=False)
>>> run.test["accuracy"] > 0.8, run.model.predict(run.prepared.table.take([0, 149])).tolist()
(True, ['setosa', 'virginica'])
"""

from thalweg.tabular.fitting import fit_prepared, fit_table
from thalweg.tabular.preparing import PreparedTable, open_table, prepare_table
from thalweg.tabular.run import MODEL_FILE, TableRun
from thalweg.tabular.settings import TableSettings, activation_names

__all__ = [
    "MODEL_FILE",
    "PreparedTable",
    "TableRun",
    "TableSettings",
    "activation_names",
    "fit_prepared",
    "fit_table",
    "open_table",
    "prepare_table",
]
