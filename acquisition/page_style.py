"""How the pages of reports look."""

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:84rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:1.8rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td.words{text-align:left}
.PASS{color:#1a7f37}.WARN{color:#9a6700}.FAIL{color:#cf222e}
figure{display:inline-block;margin:.4rem;vertical-align:top}figcaption{font-size:.85rem;color:#555}
svg{background:#f6f8fa;border:1px solid #ddd}
"""
