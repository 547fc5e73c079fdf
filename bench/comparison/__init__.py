# SPDX-License-Identifier: MIT
"""The parts of bench/compare.py: allocators, rows, statistics, table, requirements."""
