"""What the comparisons take for the truth refuses where it has no answer, as the product does."""

from __future__ import annotations

import pytest

from ringfence_governance.matcher_values import Names, reach

from . import stock_casbin


@pytest.mark.parametrize("names", [(), ("a/user:u",)])
def test_whether_what_is_no_set_reaches_names_has_no_answer_even_with_no_name(names: tuple[str, ...]) -> None:
    with pytest.raises(AttributeError):
        stock_casbin._reach("a/user:u", stock_casbin.Group(names))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        reach("a/user:u", Names(names))  # type: ignore[arg-type]
