"use strict";
// Replicates of a number on hover, tap or Enter; tables sorted by their headers; figures in full size.
(() => {
  const make = (name, text, kind) => {
    const node = document.createElement(name);
    if (text) node.textContent = text;
    if (kind) node.className = kind;
    return node;
  };

  // ---- the replicates behind a number
  const tip = make("div", "", "tip");
  tip.setAttribute("role", "dialog");
  tip.setAttribute("aria-label", "replicates");
  tip.hidden = true;
  document.body.append(tip);
  let shown = null, pinned = false;

  const fill = (number) => {
    tip.replaceChildren();
    const values = (number.dataset.values || "").split(" ").filter(Boolean).map((pair) => pair.split(":"));
    const href = number.getAttribute("href");
    const runs = (number.dataset.runs || "").split(" ").filter(Boolean);
    const list = make("ol");
    runs.forEach((run, i) => {
      const item = make("li"), words = values[i] ? `replicate ${values[i][0]}: ${values[i][1]}` : run.slice(0, 8);
      const link = make("a", words);
      link.href = number.dataset.run.replace("RUN", run);
      link.target = "_blank";
      link.rel = "noopener";
      item.append(link);
      list.append(item);
    });
    tip.append(list);
    const all = make("a", runs.length > 1 ? "compare in MLflow" : "open in MLflow");
    all.href = href;
    all.target = "_blank";
    all.rel = "noopener";
    tip.append(all);
  };

  const place = (number) => {
    const box = number.getBoundingClientRect(), width = document.documentElement.clientWidth;
    tip.hidden = false;
    const left = Math.max(8, Math.min(box.left, width - tip.offsetWidth - 8));
    const below = box.bottom + tip.offsetHeight + 8 < window.innerHeight || box.top < tip.offsetHeight + 8;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${(below ? box.bottom : box.top - tip.offsetHeight) + window.scrollY}px`;
  };

  const show = (number, keep) => {
    if (shown !== number) fill(number);
    shown = number;
    pinned = keep;
    place(number);
    number.setAttribute("aria-expanded", "true");
  };
  const hide = (back) => {
    if (!shown) return;
    shown.setAttribute("aria-expanded", "false");
    if (back) shown.focus();
    tip.hidden = true;
    shown = null;
    pinned = false;
  };

  for (const number of document.querySelectorAll("a.number")) {
    number.setAttribute("aria-haspopup", "dialog");
    number.setAttribute("aria-expanded", "false");
    number.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !pinned) show(number, false);
    });
    number.addEventListener("pointerleave", (event) => {
      if (!pinned && !tip.contains(event.relatedTarget)) hide(false);
    });
    number.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;  // a new tab: the link itself
      event.preventDefault();
      if (shown === number && pinned) { hide(true); return; }
      show(number, true);
      if (event.detail === 0) tip.querySelector("a").focus();  // by keyboard
    });
  }
  tip.addEventListener("pointerleave", () => { if (!pinned) hide(false); });
  document.addEventListener("click", (event) => {
    if (shown && !tip.contains(event.target) && !event.target.closest("a.number")) hide(false);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(true); });

  // ---- sorting: up, down, as it came
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim().replaceAll("\u2212", "-");
    const found = text.match(/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?/);
    return text === "\u2013" || text === "" ? null : found ? Number(found[0]) : text;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), "en", { numeric: true });

  for (const table of document.querySelectorAll("table.sorted")) {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells], body = table.tBodies[0];
    const original = [...body.rows];
    heads.forEach((head, column) => {
      const button = make("button", head.textContent, "sort");
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const way = before === "ascending" ? -1 : before === "descending" ? 0 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        table.classList.toggle("moved", way !== 0);
        if (way) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        const keyed = original.map((row) => [key(row, column), row]);
        if (way) keyed.sort(([a], [b]) => a === null ? (b === null ? 0 : 1) : b === null ? -1 : way * compare(a, b));
        body.replaceChildren(...keyed.map(([, row]) => row));
      });
    });
  }

  // ---- figures in full size
  const large = make("dialog", "", "large"), close = make("button", "close"), picture = make("img");
  close.type = "button";
  large.append(close, picture);
  document.body.append(large);
  close.addEventListener("click", () => large.close());
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
  for (const image of document.querySelectorAll("figure img")) {
    const button = make("button", "", "enlarge");
    button.type = "button";
    button.setAttribute("aria-label", `full size: ${image.alt}`);
    image.replaceWith(button);
    button.append(image);
    button.addEventListener("click", () => {
      picture.src = image.src;
      picture.alt = image.alt;
      large.showModal();
    });
  }
})();
