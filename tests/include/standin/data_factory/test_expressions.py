import pytest

from include.standin.data_factory.exceptions import ExpressionError
from include.standin.data_factory.expressions import DEEPEST, Scope, evaluate

SCOPE = Scope(
    pipeline={"parameters": {"site": "north", "windowStart": "2014-01-30", "windowEnd": "2014-02-02"}, "RunId": "r1"},
    dataset={"day": "2014-01-30"},
    activities={"Copy": {"output": {"rowsCopied": 288, "files": [{"name": "a"}]}}},
    item=3,
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        ("@pipeline().parameters.site", "north"),
        ("@pipeline().RunId", "r1"),
        ("@dataset().day", "2014-01-30"),
        ("@item()", 3),
        ("@activity('Copy').output.rowsCopied", 288),
        ("@activity('Copy').output.files[0].name", "a"),
        ("@activity('Copy').output?.missing", None),
        ("@concat(dataset().day, '.csv')", "2014-01-30.csv"),
        ("@concat('it''s ', 1, ' of ', true)", "it's 1 of True"),
        ("site=@{pipeline().parameters.site}/day @{item()}", "site=north/day 3"),
        ("@@not an expression", "@not an expression"),
        ("@formatDateTime(addDays(pipeline().parameters.windowStart, item()), 'yyyy-MM-dd')", "2014-02-02"),
        ("@addDays('2014-01-30', 1)", "2014-01-31T00:00:00.0000000Z"),
        ("@formatDateTime('2014-01-30T23:00:00-02:00', 'yyyy/MM/dd HH:mm:ss')", "2014/01/31 01:00:00"),
        ("@ticks('1970-01-01')", 621355968000000000),
        ("@range(5, 3)", [5, 6, 7]),
        (
            "@range(0, add(div(sub(ticks(pipeline().parameters.windowEnd), ticks(pipeline().parameters.windowStart)), 864000000000), 1))",
            [0, 1, 2, 3],
        ),
        ("@if(equals(item(), 3), 'yes', 'no')", "yes"),
        ("@CONCAT('a', 'b')", "ab"),
        ({"value": "@item()", "type": "Expression"}, 3),
        ({"deep": ["@item()", {"deeper": "@{item()}"}]}, {"deep": [3, {"deeper": "3"}]}),
        (17, 17),
    ],
)
def test_what_the_language_gives(expression, value):
    assert evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("@guid()", "the function 'guid' is not known here; known are activity, add"),
        ("@pipeline().parameters.turbine", "property 'turbine' doesn't exist, available properties are 'site, windowStart, windowEnd'"),
        ("@concat('a'", r"',' or '\)' is missing"),
        ("@concat('a') 'b'", "unexpected ''b''"),
        ("@site", "'site' is neither a function call nor a value"),
        ("@activity('Lookup').output", "function 'activity' failed: 'Lookup'"),
        ("@addDays('yesterday', 1)", "function 'adddays' failed|function 'addDays' failed"),
        ("@range(0, 0)", "count must be between 1 and 100000, and is 0"),
        ("@range(0, 100001)", "count must be between"),
        ("@div(1, 0)", "function 'div' failed"),
        ("@concat(#)", "is not expected"),
        ("@" + "string(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), "too deeply nested"),
    ],
)
def test_what_cannot_be_evaluated_says_why(expression, why):
    with pytest.raises(ExpressionError, match="Unable to process expression") as raised:
        evaluate(expression, SCOPE)
    raised.match(why)
