// axe.js CHROMIUM PAGE: prints, as JSON, what axe finds wrong with the page and by how much it is wider than its window,
// how many tables begin folded, and what stands at the pointer in the middle of a panel of curves, light and dark, at a desktop's width and a phone's, with every fold open.
const fs = require("node:fs");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

const [chromium, page] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
  const found = [];
  for (const scheme of ["light", "dark"]) {
    for (const width of [1440, 360]) {
      const tab = await browser.newPage();
      await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await tab.setViewport({ width, height: 900 });
      await tab.goto(`file://${path.resolve(page)}`);
      const folded = await tab.evaluate(() => document.querySelectorAll("details.rows:not([open])").length);
      await tab.evaluate(() => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
      await tab.evaluate(axe);
      const violations = await tab.evaluate(async () =>
        (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`));
      const tooWide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      const panel = await tab.evaluate(() => {
        const mark = [...document.querySelectorAll("[data-tip*='epoch']")].find((each) => each.checkVisibility());
        mark.scrollIntoView({ block: "center" });
        const box = mark.getBoundingClientRect();
        return { x: box.left + 0.5 * box.width, y: box.top + 0.5 * box.height };
      });
      await tab.mouse.move(panel.x, panel.y);
      const tip = await tab.evaluate(() => document.querySelector(".tip:not([hidden])")?.textContent);
      found.push({ scheme, width, folded, violations, tooWide, tip });
      await tab.close();
    }
  }
  await browser.close();
  console.log(JSON.stringify(found));
})();
