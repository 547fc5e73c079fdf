# SPDX-License-Identifier: MIT
"""From the comparison's JSON document to a page, a Markdown file and a headline plot."""
