/* All that this adds can be missed: the page reads, links and prints without it. */
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // A box that scrolls can be reached by keyboard; one that does not takes no focus.
  const reachable = () => {
    for (const box of all(".scroll")) {
      const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
      const name = box.querySelector("table")?.getAttribute("aria-labelledby");
      for (const [key, value] of [["tabindex", "0"], ["role", "group"], ["aria-labelledby", name]]) {
        if (scrolls) box.setAttribute(key, value);
        else box.removeAttribute(key);
      }
    }
  };
  addEventListener("resize", reachable);
  addEventListener("toggle", reachable, true);
  reachable();

  // On a phone long tables, whose rows are cards there, begin folded.
  const phone = matchMedia("(max-width: 40rem)");
  const fold = () => { for (const rows of all("details.rows")) rows.open = !phone.matches; };
  phone.addEventListener("change", fold);
  fold();

  // Copy buttons on commands.
  for (const block of all("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${block.textContent.trim().slice(0, 60)}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent.trim());
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    block.after(button);
  }

  // A row's own address; the keyboard need not stop at each.
  for (const row of all("tbody tr[id]")) {
    const link = document.createElement("a");
    link.className = "anchor";
    link.href = `#${row.id}`;
    link.tabIndex = -1;
    link.textContent = "#";
    link.setAttribute("aria-label", "Link to this row");
    row.cells[0].append(link);
  }

  // The contents mark where one is.
  const links = new Map(all("nav a[href^='#']").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "location");
    }
  }, { rootMargin: "0px 0px -75% 0px" });
  for (const id of links.keys()) {
    const heading = document.getElementById(id);
    if (heading) seen.observe(heading);
  }

  // Tables that can be sorted and filtered.
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number.parseFloat(text.replace("−", "-").replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)) * (down ? -1 : 1));
        body.append(...rows);
      });
    });
    const label = document.createElement("label");
    label.className = "filter";
    const input = document.createElement("input");
    input.type = "search";
    label.append("Show only rows that contain ", input);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    (table.closest(".scroll") ?? table).before(label);
  }

  // What a point is of; over a panel of curves, their values where the pointer is: the numbers of one line take the tabs' places.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const mark of all("svg [data-tip]")) {
    const [text, numbers] = mark.dataset.tip.split("\n\n");
    const lines = numbers?.split("\n");
    for (const moved of ["pointerenter", "pointermove"]) mark.addEventListener(moved, (event) => {
      const box = mark.getBoundingClientRect();
      const part = Math.floor((event.clientX - box.left) / box.width * (lines?.length ?? 0));
      const values = lines?.[Math.min(Math.max(part, 0), lines.length - 1)].split(" ");
      tip.textContent = values ? text.replaceAll("\t", () => values.shift()) : text;
      tip.hidden = false;
      const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - tip.offsetWidth - 4);
      tip.style.left = `${left + scrollX}px`;
      tip.style.top = `${event.pageY + 14}px`;
    });
    mark.addEventListener("pointerleave", () => { tip.hidden = true; });
  }
})();
