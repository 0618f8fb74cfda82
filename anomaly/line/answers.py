"""What the service answers, for its description at /openapi.json."""

from typing import Any, Optional

from pydantic import BaseModel, Field, RootModel


class Region(BaseModel):
    """A place of an anomalous photograph, in its pixels."""

    box: list[int] = Field(description="left, top, width, height")
    area: int
    peak: float = Field(description="the largest value of the map")
    normalised: float = Field(description="the same on the scale on which 0.5 is the threshold")
    at: list[int] = Field(description="x and y of the peak")


class Answer(BaseModel):
    model: str
    verdict: str = Field(description="NORMAL, ANOMALOUS, or UNKNOWN where there is no threshold")
    score: float
    normalised: Optional[float] = Field(description="between 0 and 1; 0.5 at the threshold, 0.25 of a usual good one")
    threshold: Optional[float]
    height: int
    width: int
    regions: list[Region] = Field(description="the worst place first")
    map: Optional[str] = Field(description="a PNG in base64, if it was asked for")


class Drift(BaseModel):
    state: str
    says: str
    photographs: int
    median: Optional[float]
    above_threshold: Optional[float]


class Model(BaseModel):
    method: str
    backbone: str
    runs_on: str
    threshold: Optional[float]
    remark: str
    drift: Drift


class Models(RootModel[dict[str, Model]]):
    pass


class Health(BaseModel):
    status: str


class Error(BaseModel):
    error: str = Field(description="why, in one line")


REASONS = {
    400: "No photograph was sent, or the form is broken.",
    401: "A token is needed.",
    404: "There is no such model.",
    408: "The photograph did not arrive in time.",
    413: "The photograph is too large.",
    415: "What was sent is no photograph.",
    422: "The photograph is damaged, or a parameter is wrong.",
    503: "Too much is asked for at once.",
}
ANSWERS: dict[Any, dict] = {200: {"description": "It was judged."}} | {
    status: {"model": Error, "description": text} for status, text in REASONS.items()
}

_FILE = {"type": "string", "format": "binary"}
BODY = {
    "requestBody": {
        "required": True,
        "description": "The photograph itself, or a form with it in its field `image`.",
        "content": {
            **{f"image/{kind}": {"schema": _FILE} for kind in ("png", "jpeg", "bmp", "tiff", "webp")},
            "application/octet-stream": {"schema": _FILE},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"image": _FILE}}},
        },
    }
}
