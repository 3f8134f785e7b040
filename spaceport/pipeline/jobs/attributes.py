"""Values as DynamoDB holds them: decimals, no floats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def to_dynamodb(value: Any) -> Any:
    """DynamoDB holds decimals, not floats."""
    match value:
        case float():
            return Decimal(str(round(value, 6)))
        case dict():
            return {name: to_dynamodb(part) for name, part in value.items()}
        case list():
            return [to_dynamodb(part) for part in value]
    return value


def from_dynamodb(value: Any) -> Any:
    """The inverse: whole decimals become int, others float."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: from_dynamodb(part) for name, part in value.items()}
        case list():
            return [from_dynamodb(part) for part in value]
    return value
