#include "node/admin/dashboard.h"

namespace holdfast::node {

// Texts from the node are put in with textContent only: an address in the queue is a stranger's.
const std::string_view kDashboardPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8888; --good: #1a8f4c; --bad: #c4372c; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
#state { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); }
.soft { color: var(--soft); }
#tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem;
  margin-top: 1rem; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
th:first-child, td:first-child { text-align: left; }
</style>
</head>
<body>
<header>
  <h1>Holdfast</h1><span id="name"></span><span id="state">connecting&hellip;</span>
  <span id="since" class="soft"></span>
</header>
<div id="tiles"></div>
<section id="destinations" hidden>
<h2>Queue by destination and age in minutes</h2>
<div class="scroll"><table id="queue"></table></div>
</section>
<h2>Groups</h2>
<div class="scroll"><table id="groups"></table></div>
<script>
"use strict";
const at = id => document.getElementById(id);
const number = value => Number(value || 0).toLocaleString("en");
const bytes = value => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let n = Number(value || 0), i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return n.toFixed(i && n < 10 ? 1 : 0) + " " + units[i];
};
function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.appendChild(made);
  return made;
}
function table(id, head, rows) {
  const body = document.createDocumentFragment();
  const first = body.appendChild(document.createElement("tr"));
  head.forEach(text => element("th", text, first));
  rows.forEach(cells => {
    const row = body.appendChild(document.createElement("tr"));
    cells.forEach(text => element("td", text, row));
  });
  at(id).replaceChildren(body);
}
function tiles(pairs) {
  const all = document.createDocumentFragment();
  pairs.forEach(([label, value]) => {
    const tile = all.appendChild(document.createElement("div"));
    tile.className = "tile";
    element("b", value, tile);
    element("span", label, tile).className = "soft";
  });
  at("tiles").replaceChildren(all);
}
function showStatus(status) {
  const queue = status.queue || {}, traffic = status.traffic || {};
  const sessions = status.sessions || {}, storage = status.storage || {};
  at("name").textContent = "node " + status.node_id + " " + status.hostname;
  at("state").textContent =
    status.ready ? "accepts mail" : "refuses mail: " + status.not_ready_reason;
  at("state").className = status.ready ? "good" : "bad";
  at("since").textContent = "version " + status.version + ", policy " + status.policy_version +
    (status.started ? ", up since " + new Date(status.started).toLocaleString() : "");
  tiles([
    ["messages queued", number(queue.messages)], ["recipients open", number(queue.recipients)],
    ["held", number(queue.held_messages)], ["in doubt", number(queue.in_doubt_recipients)],
    ["sessions in", number(sessions.inbound)], ["connections out", number(sessions.outbound)],
    ["accepted", number(traffic.messages_accepted)],
    ["delivered", number(traffic.recipients_delivered)],
    ["deferred", number(traffic.recipients_deferred)],
    ["bounced", number(traffic.recipients_bounced)],
    ["rejected", number(traffic.commands_rejected)],
    ["disk free", bytes(storage.disk_free_bytes)],
  ]);
  table("groups", ["group", "role here", "leader", "term", "committed", "applied", "messages"],
    (status.groups || []).map(group => [group.group || "control", group.role,
      Number(group.leader_node_id) ? "node " + group.leader_node_id : "none", number(group.term),
      number(group.commit_index), number(group.applied_index), number(group.messages)]));
}
function showQueue(summary) {
  const ages = summary.age_minutes || [], last = ages[ages.length - 1];
  const cells = row => [row.destination, number(row.total), ...(row.counts || []).map(number)];
  const total = summary.total || {};
  table("queue", ["", "total", ...ages.map(String), last ? last + "+" : "all"],
    [cells({...total, destination: "TOTAL"}), ...(summary.rows || []).map(cells)]);
}
async function get(path) {
  const answer = await fetch(path, {cache: "no-store"});
  if (!answer.ok) throw new Error(path);
  return answer.json();
}
async function refresh() {
  try {
    showStatus(await get("status.json"));
  } catch (error) {
    at("state").textContent = "no answer from the node";
    at("state").className = "bad";
  }
  try {
    showQueue(await get("queue.json"));
    at("destinations").hidden = false;
  } catch (error) {
    at("destinations").hidden = true;
  }
  setTimeout(refresh, 2000);
}
refresh();
</script>
</body>
</html>
)html";

}  // namespace holdfast::node
