# SPDX-License-Identifier: MIT
"""The three functions of NumPy that bench/asker/judge.py calls, for a machine without NumPy.

It is slow, and knows no more than arrays of one axis that a number is added to.
"""


class Array(list):
    def __add__(self, number):
        return Array(value + number for value in self)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return Array(found) if isinstance(index, slice) else found

    def copy(self):
        return Array(self)


def arange(count, dtype):
    return Array(float(i) for i in range(count))


def repeat(values, count):
    return Array(value for value in values for _ in range(count))


def array_equal(a, b):
    return len(a) == len(b) and all(x == y for x, y in zip(a, b))
