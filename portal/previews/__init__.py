"""Previews: small WebP pictures, facts and a placeholder colour, made from one untrusted file.

`renderer.render` is the only entry point. It runs `decoder` in a process of the sandbox, without secrets and with
limits of memory, time, size and reach, because decoders are where a hostile file does its harm. There, pixels and
frames are counted (`limits`), pictures are decoded once (`raster`; `pdf` for the first page of a document), facts are
read (`metadata`), colours are brought to sRGB (`colour`) and every variant is written from that one decode (`encode`).
`types` names what both sides share.

Invariants: nothing is decoded before its pixels and frames were counted; a derived file carries no metadata at all;
no variant is larger than its source; all five variants exist, a small source gives them at its own size.
A failure is a `PreviewFailed` (`failures`) with a code and a text; it never touches the asset's own state.
"""
