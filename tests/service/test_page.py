"""The page in a real browser, over a service, over a real Ray: submit, watch, stop, resume, open the report."""

import base64
import sys
import time

import pytest

from sweeper.service.auth import new_token
from tests.analysis.browser import Page, find_browser
from tests.service.serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SECRET, TOKEN = new_token("write")


@pytest.fixture
def page(tmp_path):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed")
    with Page(program, tmp_path / "profile") as found:
        yield found


def until(page: Page, expression: str, seconds: float = 240.0):
    end = time.monotonic() + seconds
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < end, (expression, page.evaluate("document.body.innerText"), page.complaints)
        time.sleep(0.3)
    return value


def badge(state: str) -> str:
    return f"document.querySelector('.badge')?.textContent === '{state}'"


def press(page: Page, text: str) -> None:
    buttons = "[...document.querySelectorAll('button')]"
    until(page, f"{buttons}.find(each => each.textContent === '{text}') && true")
    page.evaluate(f"{buttons}.find(each => each.textContent === '{text}').click()")


def change(page: Page, path: str, value: str) -> None:
    page.evaluate(f"document.querySelector('[name=\"{path}\"]').value = '{value}'")


def test_a_sweep_from_the_form_to_its_report(page, head, tmp_path):
    with serving(str(tmp_path), head, python=sys.executable, tokens=(TOKEN,)) as root:
        page.open(f"{root}/")
        assert "known token" in until(page, "document.querySelector('#notice').textContent")
        page.complaints.clear()  # the browser itself reports the 401
        page.evaluate(f"document.querySelector('#token input').value = '{SECRET}'")
        press(page, "Use")
        until(page, "document.body.innerText.includes('There are no sweeps yet')")

        page.open(f"{root}/submit?recipe=digits&scale=smoke")
        change(page, "train/momentum", "3")
        press(page, "Submit")
        assert "must be less than 1" in until(page, "document.querySelector('#notice').textContent")
        assert page.evaluate("document.querySelector('[name=\"train/momentum\"]').validationMessage")
        page.complaints.clear()
        change(page, "train/momentum", "0.8")
        change(page, "trunk/epochs", "24")
        change(page, "trunk/branch_every", "8")
        page.evaluate("document.querySelector('[name=\"train/momentum\"]').dispatchEvent(new Event('input'))")
        press(page, "Submit")
        until(page, "location.pathname.startsWith('/sweeps/digits-smoke-')")
        until(page, badge("running"))
        press(page, "Stop")
        until(page, badge("stopped"))
        press(page, "Resume")
        until(page, badge("done"))
        assert "6 of 6 trials" in page.evaluate("document.querySelector('#live').innerText")
        until(page, "Number(document.querySelector('#figures').height) > 300")

        press(page, "Open the report")
        until(page, "document.querySelector('#report iframe') && true")
        report = "document.querySelector('#report iframe')"
        loaded = f"new Promise(done => {{ {report}.onload = () => done(true); setTimeout(() => done(false), 120000) }})"
        assert page.evaluate(loaded)
        assert page.complaints == []
        for scheme in ("light", "dark"):
            page.call(
                "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
            )
            shot = page.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
            (tmp_path / f"{scheme}.png").write_bytes(base64.b64decode(shot))
        page.open(f"{root}/")
        until(page, "document.body.innerText.includes('6 of 6')")
