"""A browser, for the reports."""

import shutil
from collections.abc import Iterator

import pytest
import skips
from reports import Browser
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real one without a window, for all tests of a module."""
    reason = skips.browser_is_missing()
    if reason:
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(skips.BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which(skips.DRIVER)))
    yield Browser(driver)
    driver.quit()
