"""What to say where an optional dependency is missing."""

from __future__ import annotations

from bubus.errors import MissingExtraError


def missing_extra(module: str, extra: str, package: str, problem: ModuleNotFoundError) -> Exception:
    """Return the error that names the extra which brings *package*; *problem* itself, if that would not help."""
    if (problem.name or "").partition(".")[0] != package:
        return problem
    return MissingExtraError(f"{module} needs {package}: pip install 'bubus[{extra}]'")
