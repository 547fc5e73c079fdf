# SPDX-License-Identifier: MIT
"""Headless Chromium for the tests of the page: opens a file, looks at it, takes screenshots.

The checks run inside the page; each returns a list of complaints, empty when all is well.
"""

import base64
import os
import shutil

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    MISSING = ""
except ImportError:
    MISSING = "needs the package python3-selenium"

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
PHONE = {"width": 390, "height": 844, "pixelRatio": 2.0}
DESKTOP = {"width": 1280, "height": 900}
for _program, _package in PROGRAMS.items():
    if not MISSING and not shutil.which(_program):
        MISSING = "needs the package " + _package

# Each plot has marks; each group of marks has one with an extent, inside the plot's box.
EMPTY_PLOTS = """
return [...document.querySelectorAll('figure')].flatMap(figure => {
  const title = figure.querySelector('h3').textContent, svg = figure.querySelector('svg.plot');
  if (!svg) return [title + ': no plot'];
  const box = svg.getBoundingClientRect(), groups = [...svg.querySelectorAll('g.mark')];
  if (!groups.length) return [title + ': no marks'];
  const visible = mark => {
    const b = mark.getBoundingClientRect(), style = getComputedStyle(mark);
    return (b.width > 0.5 || b.height > 0.5)
      && b.right > box.left && b.left < box.right && b.bottom > box.top && b.top < box.bottom
      && [style.fill, style.stroke].some(paint => paint.startsWith('rgb'));
  };
  return groups.filter(group => ![...group.querySelectorAll('path,polygon,circle,text')]
    .some(visible)).map(() => title + ': nothing to be seen of a group of marks').concat(
    [...svg.querySelectorAll('g.mark path,g.mark polygon,g.mark circle')].some(visible)
      ? [] : [title + ': no data']);
});
"""

SMALL_TEXT = """
const least = arguments[0];
return [...document.querySelectorAll('svg.plot')].flatMap(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map(text =>
    [scale * parseFloat(getComputedStyle(text).fontSize), text.textContent])
    .filter(pair => pair[0] < least).map(pair => pair[1] + ': ' + pair[0].toFixed(1) + ' px');
});
"""

# Words that leave their plot, or lie on one another.
CROWDED_TEXT = """
return [...document.querySelectorAll('svg.plot')].flatMap(svg => {
  const name = svg.getAttribute('aria-label'), view = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent,
    t.getBoundingClientRect()]);
  const out = boxes.filter(([, b]) => b.left < view.left - 1 || b.right > view.right + 1
    || b.top < view.top - 2 || b.bottom > view.bottom + 2)
    .map(([text]) => name + ': cut off: ' + text);
  boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([two, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    /* The boxes hold the font's whole height; the letters are about two thirds of it. */
    if (wide > 1 && high > a.height / 3) out.push(name + ': on one another: ' + one + ', ' + two);
  }));
  return out;
});
"""

OVERFLOW = """
const wide = document.documentElement.clientWidth;
return document.documentElement.scrollWidth <= wide ? [] :
  ['the page is ' + document.documentElement.scrollWidth + ' px wide, not ' + wide].concat(
    [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, nav, svg') &&
      e.getBoundingClientRect().right > wide + 1).map(e => e.tagName + '.' + e.className));
"""

# WCAG's contrast of each text with the nearest background that is painted behind it.
POOR_CONTRAST = """
const least = arguments[0];
const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
const light = colour => {
  const [r, g, b] = parts(colour).slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor, p = parts(colour);
    if (p.length === 3 || p[3] === 1) return colour;
  }
  return 'rgb(255,255,255)';
};
const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const found = new Map();
for (const e of document.querySelectorAll('body *')) {
  if (!own(e) || ['SCRIPT', 'STYLE'].includes(e.tagName) || !e.getClientRects().length) continue;
  const style = getComputedStyle(e), colour = e.closest('svg') ? style.fill : style.color;
  const [a, b] = [light(colour), light(behind(e))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < least) found.set(colour + ' on ' + behind(e), contrast.toFixed(2) + ': '
    + e.textContent.trim().slice(0, 40));
}
return [...found].map(([pair, text]) => pair + ' ' + text);
"""

IDS = """
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
return ids.filter((id, at) => ids.indexOf(id) !== at);
"""


class Browser:
    def __init__(self, phone=False):
        options = Options()
        for word in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu",
                     "--hide-scrollbars", "--window-size=%(width)d,%(height)d" % DESKTOP):
            options.add_argument(word)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium does not start as root with it
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if phone:
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": PHONE})
        options.binary_location = shutil.which("chromium")
        self.driver = webdriver.Chrome(
            options=options, service=Service(executable_path=shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(60)

    def quit(self):
        self.driver.quit()

    def open(self, path, dark=False):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.driver.get("file://" + os.path.abspath(path))

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def errors(self):
        """What the page wrote to the console, and requests that it tried to make."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def screenshot(self, path, height=None):
        """Of the whole page, or of so much of its top: a long page takes Chromium seconds."""
        wide, high = self.run("const e = document.documentElement;"
                              "return [e.clientWidth, e.scrollHeight];")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": wide, "height": min(high, height or high), "scale": 1}})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
