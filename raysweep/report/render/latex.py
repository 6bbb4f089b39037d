"""Words as LaTeX that any engine and any class compile."""

from __future__ import annotations

import re

from raysweep.report.formatting import MINUS

_WORDS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "–": "--", "—": "---", "…": r"\dots{}", "†": r"$^\dagger$", "‡": r"$^\ddagger$",
    "’": "'", "‘": "`", "“": "``", "”": "''", "\u00a0": "~",
}  # fmt: skip

_SYMBOLS = {
    "±": r"\pm", MINUS: "-", "×": r"\times", "÷": r"\div", "·": r"\cdot", "°": r"^\circ", "µ": r"\mu", "¬": r"\neg",
    "⁺": "^+", "⁻": "^-", "¹": "^1", "²": "^2", "³": "^3", "⁰": "^0",
    **{chr(0x2070 + i): f"^{i}" for i in range(4, 10)}, **{chr(0x2080 + i): f"_{i}" for i in range(10)},
    "≥": r"\geq", "≤": r"\leq", "≠": r"\neq", "≈": r"\approx", "≡": r"\equiv",
    "∞": r"\infty", "∈": r"\in", "∑": r"\sum", "√": r"\surd", "∂": r"\partial", "∇": r"\nabla", "∝": r"\propto",
    "∼": r"\sim", "≪": r"\ll", "≫": r"\gg", "∩": r"\cap", "∪": r"\cup", "⊂": r"\subset", "∅": r"\emptyset",
    "∀": r"\forall", "∃": r"\exists", "∫": r"\int", "∏": r"\prod", "⊕": r"\oplus", "⊗": r"\otimes", "∧": r"\wedge",
    "∨": r"\vee", "←": r"\leftarrow", "→": r"\rightarrow", "↑": r"\uparrow", "↓": r"\downarrow",
    "↔": r"\leftrightarrow", "⇐": r"\Leftarrow", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "↦": r"\mapsto",
}  # fmt: skip

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "υ": "upsilon", "χ": "chi", "ψ": "psi", "ω": "omega", "ε": "varepsilon", "ϵ": "epsilon", "φ": "varphi", "ϕ": "phi",
    "ϑ": "vartheta", "ς": "varsigma", "ϱ": "varrho", "ϖ": "varpi", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip

_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))
"""Greek letters that LaTeX has no command for, since they look like Latin ones."""

_ALL = {
    **_WORDS,
    **{c: f"${word}$" for c, word in _SYMBOLS.items()},
    **{c: f"$\\{word}$" for c, word in _GREEK.items()},
    **{c: rf"$\mathrm{{{word}}}$" for c, word in _LATIN.items()},
}

_NOT_IN_T1 = frozenset("ĦħĸĿŀŉŦŧſ")
"""Latin letters that pdflatex stops at: no font encoding that it loads has them."""

_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=['\"])(?=['\"])|(?<=`)(?=`)|(?<=[?!])(?=`)|(?<=,)(?=,)")
"""Between characters that fonts of LaTeX would join to others."""


def escape(text: str) -> str:
    r"""Words as LaTeX. Greek letters, arrows and signs of mathematics are commands; of what else is beyond Latin,
    and pdflatex cannot set, the code points are shown.

    >>> print(escape("50 % of a_b, Köln, β → ≥ 1, --set, 表"))
    50 \% of a\_b, Köln, $\beta$ $\rightarrow$ $\geq$ 1, -{}-set, [U+8868]
    """
    return "".join(map(_letter, _LIGATURE.sub("\0", text)))


def _letter(c: str) -> str:
    if c == "\0":
        return "{}"
    known = c.isprintable() and ord(c) < 0x180 and c not in _NOT_IN_T1
    return _ALL.get(c, c if known else f"[U+{ord(c):04X}]")
