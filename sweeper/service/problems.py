"""What is answered to requests that can't be met: problem details (RFC 9457), each field by its path."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from search_spaces.recipe import RecipeError
from sweeper.store import StorageError
from sweeper.tuning.cluster import ClusterError

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    path: str
    """As in train/momentum; empty where it is the whole."""
    message: str


class Problem(BaseModel):
    """Why a request was refused."""

    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": 'recipe "digits", train/momentum: must be less than 1 (got 2)',
                    "errors": [{"path": "train/momentum", "message": "must be less than 1 (got 2)"}],
                }
            ]
        }
    }


class Refusal(Exception):
    """A request that is refused with `status` and one line."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers
        self.errors = [FieldProblem(path=path, message=message) for path, message in errors]

    def response(self) -> JSONResponse:
        """Return the answer."""
        problem = Problem(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail, errors=self.errors
        )
        return JSONResponse(problem.model_dump(), self.status, self.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Have `app` answer refusals, and the errors of the layers below, as problems."""

    @app.exception_handler(Refusal)
    def refused(_: Request, error: Refusal) -> JSONResponse:
        return error.response()

    @app.exception_handler(RecipeError)
    def invalid(_: Request, error: RecipeError) -> JSONResponse:
        return Refusal(422, str(error), errors=error.problems).response()

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [("/".join(map(str, each["loc"][1:])), each["msg"]) for each in error.errors()]
        return Refusal(422, "; ".join(f"{path}: {text}" for path, text in errors), errors=errors).response()

    @app.exception_handler(HTTPException)
    def other(_: Request, error: HTTPException) -> JSONResponse:
        return Refusal(error.status_code, str(error.detail), error.headers).response()

    @app.exception_handler(ClusterError)
    @app.exception_handler(StorageError)
    def unavailable(_: Request, error: Exception) -> JSONResponse:
        return Refusal(503, str(error), {"Retry-After": "10"}).response()
