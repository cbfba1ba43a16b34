# SPDX-License-Identifier: MIT
"""Names that arrays may have and that something may stumble over."""

NAMES = ["plain", "with space", "tab-free/deep/er/est", "quote\"s", "back\\slash", "*", "?[a]",
         "$(reboot)", "`x`", "-option", "'", "<b>&amp;", "{\"json\":1}", "a=b,c", "%s%n", "#",
         "naïve", "日本語", "e\u0301", "\U0001f600", "rtl\u202edesrever", "zero\u200bwidth",
         "\ufeffbom", "\u2028line", "x" * 255, "d/" * 100 + "e"]
