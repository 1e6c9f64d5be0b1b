// The live tail: rows for what comes, built from text alone.
"use strict";
const tail = document.getElementById("tail");
const state = document.getElementById("state");
const asked = new URLSearchParams(location.search);
asked.set("after", tail.dataset.after);
const source = new EventSource("/live/events?" + asked);
source.onopen = () => { state.textContent = "listening"; };
source.onerror = () => { state.textContent = "the console does not answer; trying again"; };
source.onmessage = (message) => {
  const entry = JSON.parse(message.data);
  const refused = entry.reason !== null || entry.status >= 400;
  const row = document.createElement("tr");
  if (refused) row.className = "refused";
  const cell = (...parts) => { const made = document.createElement("td"); made.append(...parts); row.append(made); return made; };
  const text = (kind, value) => { const made = document.createElement(kind); made.textContent = value; return made; };
  cell(new Date(entry.started * 1000).toISOString().slice(11, 19));
  const link = document.createElement("a");
  link.href = "/exchanges/" + encodeURIComponent(entry.trace);
  link.append(text("code", entry.trace.slice(0, 12) + "…"));
  cell(link);
  cell(entry.from);
  cell(entry.to + " ", text("small", entry.service));
  cell(text("code", entry.what));
  cell(Math.round(entry.milliseconds) + " ms").className = "number";
  cell((refused ? "✗ " : "✓ ") + (entry.status || "TLS") + " " + (entry.reason || "ok"));
  tail.prepend(row);
  while (tail.rows.length > 500) tail.lastElementChild.remove();
};
