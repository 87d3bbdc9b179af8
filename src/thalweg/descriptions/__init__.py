"""Descriptions: frozen dataclasses for layers, losses, optimisers, schedules and their kin.

A description is data. Its fields declare their own constraints (:func:`setting`, :func:`size`,
:func:`option`, ...), from which validation, JSON conversion, help texts and generic tests follow::

    description ::= dataclass registered under a family and a name
    field       ::= setting | numbers | size | option | flag | part | parts | plain data
    setting     ::= a number that the compiled program takes as input (never a constant in it)
    numbers     ::= several settings, whose count is part of the program

Numeric settings may be replaced by tensors (:func:`replace_settings`), which is how a training
step is traced once and run with any learning rate.
"""

from thalweg.descriptions.constraints import (
    Constraint,
    constraints,
    flag,
    numbers,
    option,
    part,
    parts,
    setting,
    size,
)
from thalweg.descriptions.description import Description
from thalweg.descriptions.families import (
    Family,
    check_class,
    family,
    make,
    members,
    name_of,
    register,
)
from thalweg.descriptions.plain import Plain, from_plain, to_plain
from thalweg.descriptions.settings import (
    descriptions_in,
    is_fixed,
    replace_settings,
    settings_of,
    structure_of,
)

__all__ = [
    "Constraint",
    "Description",
    "Family",
    "Plain",
    "check_class",
    "constraints",
    "descriptions_in",
    "family",
    "flag",
    "from_plain",
    "is_fixed",
    "make",
    "members",
    "name_of",
    "numbers",
    "option",
    "part",
    "parts",
    "register",
    "replace_settings",
    "setting",
    "settings_of",
    "size",
    "structure_of",
    "to_plain",
]
