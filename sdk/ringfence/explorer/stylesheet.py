"""The style of the pages: the one thing besides them that is served."""

from __future__ import annotations

CSS = """
:root { --ink: #1d2430; --soft: #5b6675; --line: #c9d2dd; --box: #f4f7fa; --mark: #a4262c; --span: #a9c1dd; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1500px; margin: 2rem auto; }
body { padding: 0 1.5rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
a { color: #1f5f9e; }
nav a { margin-right: 1.2rem; }
.soft { color: var(--soft); }
code { font-size: .85em; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; vertical-align: top; overflow-wrap: anywhere; }
th { border-bottom: 1px solid var(--line); font-weight: 600; }
td { border-bottom: 1px solid #eef1f5; }
.picture { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: .5rem; }
input { font: inherit; width: 22rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .name { text-anchor: middle; font-weight: 600; }
svg .kind { text-anchor: middle; fill: var(--soft); }
svg .edge { fill: none; stroke: #9aa7b6; stroke-width: 1.4; }
svg .node { fill: var(--box); stroke: #8fa1b5; }
svg .source { fill: #fff; stroke-dasharray: 4 3; }
svg .passage { fill: #e7eef6; }
svg .asked { stroke: var(--mark); stroke-width: 2.5; }
svg .more { text-anchor: end; fill: var(--soft); }
svg .lane { text-anchor: end; }
svg .span { fill: var(--span); }
svg .read { fill: var(--mark); }
svg .made { fill: #fff; stroke: var(--mark); stroke-width: 1.5; }
svg .start, svg .end { fill: var(--soft); }
svg .end { text-anchor: end; }
"""
