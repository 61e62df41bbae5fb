"""The peers that run on the portal's own server: a bare page, a page of 50 rows, and a form that takes files.

Each is what a few lines of Flask give: Flask-SQLAlchemy with its defaults, Jinja, no login, no headers, no log.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from flask import Flask, render_template, request
from flask_compress import Compress
from flask_sqlalchemy import SQLAlchemy
from jinja2 import DictLoader
from sqlalchemy import BigInteger, create_engine, make_url, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.settings import Settings

APPLICATION = "bench.peer:app"
_TABLE = "CREATE TABLE peer_rows (id bigint PRIMARY KEY, name text, kind text, size bigint, made timestamptz)"
_ROWS = (
    "INSERT INTO peer_rows SELECT n, 'file-' || n || '.jpg', 'photo', n * 1000, now() FROM generate_series(1, 1000) n"
)
_TEMPLATES = {
    "line.html": "{{ row.name }}, {{ row.size }} bytes\n",
    "base.html": """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{% block title %}{% endblock %}</title>
<link rel="stylesheet" href="{{ url_for('static', filename='site.css') }}"></head>
<body><nav><a href="{{ url_for('line') }}">Home</a></nav><main>{% block content %}{% endblock %}</main></body>
</html>""",
    "rows.html": """{% extends "base.html" %}
{% block title %}Files{% endblock %}
{% block content %}
<table>
<tr><th>Name</th><th>Kind</th><th>Size</th><th>Made</th></tr>
{% for row in rows %}
<tr><td><a href="{{ url_for('line', id=row.id) }}">{{ row.name }}</a></td><td>{{ row.kind }}</td>
<td>{{ row.size }}</td><td>{{ row.made.strftime('%Y-%m-%d %H:%M') }}</td></tr>
{% endfor %}
</table>
{% endblock %}""",
}

app = Flask("peer")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("PORTAL_DATABASE_URL", "postgresql+psycopg://")
app.config.update(COMPRESS_ALGORITHM=["zstd", "br", "gzip"], COMPRESS_ZSTD_LEVEL=1)  # as the portal's pages
app.jinja_loader = DictLoader(_TEMPLATES)
Compress(app)
db = SQLAlchemy(app)


class PeerRow(db.Model):  # type: ignore[name-defined, misc]
    """A row of the peer's own table."""

    __tablename__ = "peer_rows"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    size: Mapped[int]
    made: Mapped[datetime]


@app.get("/line")
def line() -> str:
    """One query, one line."""
    return render_template("line.html", row=db.session.get(PeerRow, 7))


@app.get("/rows")
def rows() -> str:
    """One query, fifty rows."""
    found = db.session.scalars(db.select(PeerRow).order_by(PeerRow.id.desc()).limit(50)).all()
    return render_template("rows.html", rows=found)


@app.post("/form")
def form() -> str:
    """A file by form, passed on to the store."""
    sent = request.files["file"]
    settings = Settings.from_environ()
    _store(settings).upload_fileobj(sent.stream, settings.s3_bucket, f"peer/{sent.filename}")
    return "stored\n"


@lru_cache(1)
def _store(settings: Settings) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=settings.s3_secret_access_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def make_table(settings: Settings) -> None:
    """The peer's table with a thousand rows, in the portal's database."""
    owner = create_engine(settings.migration_database_url or "")
    with owner.begin() as connection:
        connection.execute(text(_TABLE))
        connection.execute(text(_ROWS))
        role = owner.dialect.identifier_preparer.quote(make_url(settings.database_url).username or "")
        connection.execute(text(f"GRANT SELECT ON peer_rows TO {role}"))
    owner.dispose()
