"""What people type after -f and -t is parsed, and the name of a term gives the term again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradline.columns.calendar import PARTS
from gradline.columns.formula import Wanted, parse_feature, parse_target
from gradline.columns.terms import Factor, Term, name_of
from gradline.errors import InputError

NAMES = ["price", "store", "d", "zip", "price ($)", "a:b", "log(x)", "x", "body mass", "log", "`"]


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("price", [Factor("price")]),
        ("log", [Factor("log")]),
        ("log(log)", [Factor("log", "log")]),
        ("category(zip)", [Factor("zip", "category")]),
        ("category( zip ) = 10115", [Factor("zip", "category", level="10115")]),
        ("store=B", [Factor("store", level="B")]),
        ("store = New York ", [Factor("store", level="New York")]),
        ("store=`a:b`", [Factor("store", level="a:b")]),
        ("store=(rare)", [Factor("store", level="(rare)")]),
        ("price is missing", [Factor("price", "missing")]),
        ("`price ($)` is missing", [Factor("price ($)", "missing")]),
        ("log1p(x)", [Factor("x", "log1p")]),
        ("sqrt(body mass)", [Factor("body mass", "sqrt")]),
        ("x^2", [Factor("x", "power", 2)]),
        ("`price ($)`^6", [Factor("price ($)", "power", 6)]),
        ("hinge(x, -1.5e3)", [Factor("x", "hinge", -1500.0)]),
        ("time(d)", [Factor("d", "time")]),
        ("month(d)", [Factor("d", "month")]),
        ("month(d)=3", [Factor("d", "month", level=3)]),
        ("weekday(d)=0", [Factor("d", "weekday", level=0)]),
        ("hour(d)=23", [Factor("d", "hour", level=23)]),
        ("x:store", [Factor("x"), Factor("store")]),
        ("log(price) : store=B", [Factor("price", "log"), Factor("store", level="B")]),
        ("x:d:store", [Factor("x"), Factor("d"), Factor("store")]),
        ("a:b", [Factor("a:b")]),  # the very name of a column
        ("log(x)", [Factor("log(x)")]),
        ("log(`x`)", [Factor("x", "log")]),
        ("`a:b`:x", [Factor("a:b"), Factor("x")]),
        ("log(````)", [Factor("`", "log")]),
        ("*", []),
    ],
)
def test_a_term_is_parsed(text: str, factors: list[Factor]) -> None:
    assert parse_feature(text, NAMES) == Wanted(tuple(factors))


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("prise", "unknown-column", "unknown feature 'prise'", "did you mean 'price'?"),
        (" price", "unknown-column", "unknown feature ' price'", "did you mean 'price'?"),
        ("x, price", "unknown-column", "unknown feature 'x, price'", "repeat the option"),
        ("log(prise)", "unknown-column", "names the unknown column 'prise'", "'price'?"),
        ("lg(price)", "bad-term", "has the unknown function 'lg'", "did you mean 'log'?"),
        ("Log(price)", "bad-term", "has the unknown function 'Log'", "did you mean 'log'?"),
        ("log(price", "bad-term", "expected ')', found its end", "terms are such as"),
        ("log(sqrt(x))", "unknown-column", "unknown column 'sqrt'", "known names"),
        ("hinge(x)", "bad-term", "expected ',', found ')' at character 8", "terms are such"),
        ("hinge(x, nan)", "bad-term", "expected a number, found 'n' at character 10", "terms"),
        ("hinge(x, 1e999)", "bad-term", "expected a number", "terms"),
        ("x^7", "bad-term", "expected a whole exponent from 2 to 6, found '7'", "terms"),
        ("month(d)=13", "bad-term", "expected a whole number from 1 to 12", "terms"),
        ("weekday(d)=7", "bad-term", "from 0 to 6, Monday is 0, found '7'", "terms"),
        ("store=", "bad-term", "expected a level, found its end", "terms"),
        ("x:", "bad-term", "expected a column, found its end", "terms"),
        ("x:x", "bad-term", "names a factor twice", "terms"),
        ("log(x)=2", "bad-term", "expected ':' or the end, found '='", "terms"),
        ("`x", "bad-term", "expected a second backquote, found its end", "terms"),
        ("x**2", "bad-term", "found '*' at character 2", "--feature 'x^2'"),
        ("x*store", "bad-term", "found '*' at character 2", "--feature 'x:store'"),
        ("log(price ($))", "bad-term", "found '('", "--feature 'log(`price ($)`)'"),
        ("store=a (b)", "bad-term", "found '(' at character 9", "--feature 'store=`a (b)`'"),
    ],
)
def test_a_fault_says_where_and_what_to_do(text: str, code: str, message: str, hint: str) -> None:
    names = [name for name in NAMES if name not in ("log", "log(x)") or "sqrt" in text]
    with pytest.raises(InputError) as caught:
        parse_feature(text, names)
    assert message in str(caught.value)
    assert hint in caught.value.command_hint
    assert caught.value.code == code
    if caught.value.command_hint.startswith("--feature '"):  # a hint works when it is followed
        assert parse_feature(caught.value.command_hint.split("'")[1], names).factors


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("price", ("price", None)),
        ("log(price)", ("price", "log")),
        ("log1p( body mass )", ("body mass", "log1p")),
        ("log(x)", ("log(x)", None)),
        ("`a:b`", ("a:b", None)),
        ("log(`a:b`)", ("a:b", "log")),
    ],
)
def test_a_target_is_parsed(text: str, found: tuple[str, str | None]) -> None:
    assert parse_target(text, NAMES) == found


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("prise", "unknown-column", "did you mean 'price'?"),
        ("log(prise)", "unknown-column", "did you mean 'price'?"),
        (
            "sqrt(price)",
            "bad-target",
            "'price', --target 'log(price)' or --target 'log1p(price)'",
        ),
        ("price:x", "bad-target", "--target 'price'"),
        ("store=B", "bad-target", "--target 'store'"),
        ("log(price", "bad-term", "a target is NAME, log(NAME) or log1p(NAME)"),
        ("log(price)(", "bad-term", "a target is NAME"),
    ],
)
def test_a_target_that_is_no_target(text: str, code: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(text, NAMES)
    assert caught.value.code == code
    assert hint in caught.value.command_hint


odd_names = st.one_of(
    st.text(st.sampled_from("ab`'\" :=(),^*\tÄ日"), max_size=6),
    st.sampled_from(["log", "category", "time", "hinge", "log(a)", "a is missing", " is missing"]),
    st.sampled_from(["is missing", "a=b", "a:b", "(rare)", "x^2", "*", "", "month(d)=3", "a\n"]),
    st.text(max_size=4),
)


@st.composite
def factors(draw: st.DrawFn) -> Factor:
    name = draw(odd_names)
    function = draw(
        st.sampled_from(
            [None, "category", "missing", "log", "log1p", "sqrt", "power", "hinge", "time", *PARTS]
        )
    )
    if function == "power":
        return Factor(name, function, draw(st.integers(2, 6)))
    if function == "hinge":
        return Factor(name, function, draw(st.floats(allow_nan=False, allow_infinity=False)))
    if function in PARTS:
        return Factor(name, function, level=draw(st.sampled_from(PARTS[function].values)))
    if function in (None, "category"):
        return Factor(name, function, level=draw(st.none() | odd_names))
    return Factor(name, function)


@given(term=st.lists(factors(), min_size=1, max_size=3, unique=True).map(tuple))
@example(term=(Factor("a is missing", "missing"),))
@example(term=(Factor("is missing", "missing"), Factor("is missing")))
@example(term=(Factor("s", level="(rare)"),))
def test_the_name_of_a_term_gives_the_term(term: Term) -> None:
    name = name_of(term)
    names = sorted({factor.column for factor in term})
    if name in names and term != (Factor(name),):
        assert parse_feature(name, names).factors == (Factor(name),)  # the column wins
    else:
        assert parse_feature(name, names).factors == term


@given(
    text=st.lists(
        st.sampled_from([*"`:=(),^* 23", "log", "month", "hinge", "is missing", " is missing"])
        | odd_names,
        max_size=7,
    ).map("".join),
    names=st.lists(odd_names, unique=True),
)
def test_any_text_is_a_term_or_a_fault_that_is_explained(text: str, names: list[str]) -> None:
    faults = []
    for parse in (parse_feature, parse_target):
        try:
            parse(text, names)
        except InputError as error:
            faults.append(error)
    for fault in faults:
        assert fault.code in ("bad-term", "bad-target", "unknown-column")
        assert fault.command_hint
        if fault.command_hint.startswith("--feature '"):
            repaired = fault.command_hint[len("--feature '") : -1].replace("'\"'\"'", "'")
            assert parse_feature(repaired, names)
