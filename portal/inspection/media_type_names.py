"""What people call a media type, with its article: "a JPEG", "a ZIP archive"."""

from __future__ import annotations

from portal.texts import Text

_NAMES = {
    "image/jpeg": Text("a JPEG"),
    "image/png": Text("a PNG"),
    "image/webp": Text("a WebP"),
    "image/gif": Text("a GIF"),
    "image/avif": Text("an AVIF"),
    "image/tiff": Text("a TIFF"),
    "image/heic": Text("a HEIC"),
    "image/heif": Text("a HEIF"),
    "image/bmp": Text("a BMP"),
    "image/svg+xml": Text("an SVG"),
    "image/x-dcraw": Text("a camera's RAW file"),
    "image/x-canon-cr2": Text("a Canon RAW file (CR2)"),
    "image/x-nikon-nef": Text("a Nikon RAW file (NEF)"),
    "image/x-sony-arw": Text("a Sony RAW file (ARW)"),
    "image/x-adobe-dng": Text("a digital negative (DNG)"),
    "video/mp4": Text("an MP4"),
    "video/quicktime": Text("a QuickTime movie"),
    "video/x-msvideo": Text("an AVI"),
    "video/x-matroska": Text("a Matroska video (MKV)"),
    "video/webm": Text("a WebM"),
    "video/x-ms-wmv": Text("a Windows Media video (WMV)"),
    "video/x-flv": Text("a Flash video (FLV)"),
    "application/pdf": Text("a PDF"),
    "application/msword": Text("a Word document of the old form (doc)"),
    "application/vnd.ms-excel": Text("an Excel workbook of the old form (xls)"),
    "application/vnd.ms-powerpoint": Text("a PowerPoint presentation of the old form (ppt)"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Text("a Word document (docx)"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Text("an Excel workbook (xlsx)"),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": Text(
        "a PowerPoint presentation (pptx)"
    ),
    "application/x-encrypted-office": Text("an office document with a password"),
    "application/x-ole-storage": Text("an office file of another kind"),
    "application/vnd.ms-outlook": Text("an Outlook message (msg)"),
    "application/vnd.visio": Text("a Visio drawing"),
    "application/x-msi": Text("a Windows installer"),
    "application/rtf": Text("a rich text document (RTF)"),
    "text/plain": Text("plain text"),
    "text/csv": Text("a table (CSV)"),
    "text/markdown": Text("Markdown text"),
    "text/html": Text("a web page (HTML)"),
    "text/xml": Text("an XML document"),
    "application/json": Text("JSON"),
    "application/zip": Text("a ZIP archive"),
    "application/x-tar": Text("a TAR archive"),
    "application/gzip": Text("a gzip archive"),
    "application/x-bzip2": Text("a bzip2 archive"),
    "application/x-xz": Text("an xz archive"),
    "application/vnd.rar": Text("a RAR archive"),
    "application/x-7z-compressed": Text("a 7-Zip archive"),
    "application/vnd.microsoft.portable-executable": Text("a Windows program"),
    "application/x-executable": Text("a program"),
    "application/x-pie-executable": Text("a program"),
    "application/x-sharedlib": Text("a program"),
    "application/x-mach-binary": Text("a program"),
}
_FAMILIES = {
    "image": Text("another kind of picture"),
    "video": Text("another kind of video"),
    "audio": Text("a sound"),
    "text": Text("text"),
}
_UNKNOWN = Text("of a kind that is not known here")


def named(media_type: str) -> Text:
    """The name of a media type in the middle of a sentence; a general word for one that has none."""
    return _NAMES.get(media_type) or _FAMILIES.get(media_type.partition("/")[0], _UNKNOWN)
