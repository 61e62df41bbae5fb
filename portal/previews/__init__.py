"""Previews: small WebP pictures, facts and a placeholder colour, made from one untrusted file.

`renderer.render` is the only door. It starts `child` as a process of its own, without secrets and with limits of
memory, time, size and reach (`landlock`), because decoders are where a hostile file does its harm. The child counts
(`caps`), decodes once (`raster` for pictures, `pdf` for the first page of a document), reads facts (`metadata`), brings
the colours to sRGB (`colour`) and writes every variant from that one decode (`variants`). `outcome` names what both
sides speak of.

Invariants: nothing is decoded before its pixels and frames were counted; a derived file carries no metadata at all;
no variant is larger than its source; all five variants exist, a small source gives them at its own size.
A failure is a `PreviewFailed` with a code and plain words; it never touches the asset's own state.
"""
