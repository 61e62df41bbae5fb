"""What people call a media type, with its article: "a JPEG", "a ZIP archive"."""

from __future__ import annotations

_NAMES = {
    "image/jpeg": "a JPEG",
    "image/png": "a PNG",
    "image/webp": "a WebP",
    "image/gif": "a GIF",
    "image/avif": "an AVIF",
    "image/tiff": "a TIFF",
    "image/heic": "a HEIC",
    "image/heif": "a HEIF",
    "image/bmp": "a BMP",
    "image/svg+xml": "an SVG",
    "image/x-dcraw": "a camera's RAW file",
    "image/x-canon-cr2": "a Canon RAW file (CR2)",
    "image/x-nikon-nef": "a Nikon RAW file (NEF)",
    "image/x-sony-arw": "a Sony RAW file (ARW)",
    "image/x-adobe-dng": "a digital negative (DNG)",
    "video/mp4": "an MP4",
    "video/quicktime": "a QuickTime movie",
    "video/x-msvideo": "an AVI",
    "video/x-matroska": "a Matroska video (MKV)",
    "video/webm": "a WebM",
    "video/x-ms-wmv": "a Windows Media video (WMV)",
    "video/x-flv": "a Flash video (FLV)",
    "application/pdf": "a PDF",
    "application/msword": "a Word document of the old form (doc)",
    "application/vnd.ms-excel": "an Excel workbook of the old form (xls)",
    "application/vnd.ms-powerpoint": "a PowerPoint presentation of the old form (ppt)",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "a Word document (docx)",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "an Excel workbook (xlsx)",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "a PowerPoint presentation (pptx)",
    "application/x-encrypted-office": "an office document with a password",
    "application/x-ole-storage": "an office file of another kind",
    "application/rtf": "a rich text document (RTF)",
    "text/plain": "plain text",
    "text/csv": "a table (CSV)",
    "text/markdown": "Markdown text",
    "text/html": "a web page (HTML)",
    "text/xml": "an XML document",
    "application/json": "JSON",
    "application/zip": "a ZIP archive",
    "application/x-tar": "a TAR archive",
    "application/gzip": "a gzip archive",
    "application/x-bzip2": "a bzip2 archive",
    "application/x-xz": "an xz archive",
    "application/vnd.rar": "a RAR archive",
    "application/x-7z-compressed": "a 7-Zip archive",
    "application/vnd.microsoft.portable-executable": "a Windows program",
    "application/x-executable": "a program",
    "application/x-pie-executable": "a program",
    "application/x-sharedlib": "a program",
    "application/x-mach-binary": "a program",
}
_FAMILIES = {"image": "another kind of picture", "video": "another kind of video", "audio": "a sound", "text": "text"}


def naming(media_type: str) -> str:
    """The name of a media type in the middle of a sentence; a general word for one that has none."""
    return _NAMES.get(media_type) or _FAMILIES.get(media_type.partition("/")[0], "of a kind that is not known here")
