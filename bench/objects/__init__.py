# SPDX-License-Identifier: MIT
"""The comparison of the object layer with other ways to own objects."""
