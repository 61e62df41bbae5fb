"""Real photographs and generated edge cases: each function returns the bytes of one file.

Everything is the same in every run (but for the grain of `large_jpeg`) and cached: call these as often as you like.
"""

import io
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from tests.support.icc_profiles import display_p3_profile, ink_profile

FOLDER = Path(__file__).parents[2] / "portal" / "embedded" / "pictures"
PHOTOS = ("astronaut", "cat", "coffee", "dahlia", "deep-field", "photographer", "rocket", "summer-palace")

# Corner colours of `marked()`, clockwise from the top left; far apart, so that lossy coding cannot confuse them.
CORNERS = ((220, 30, 30), (30, 180, 30), (240, 220, 40), (30, 30, 220))
MARKED_SIZE = (480, 320)

# EXIF orientation -> the turn that a camera holding the picture this way has applied to an upright one.
_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_ORIENTATION, _MAKE, _MODEL, _EXIF_IFD, _GPS_IFD = 0x0112, 0x010F, 0x0110, 0x8769, 0x8825


@cache
def photo(name: str = "summer-palace") -> bytes:
    """A real photograph as JPEG; `PHOTOS` lists the names."""
    return (FOLDER / f"{name}.jpg").read_bytes()


def photo_image(name: str = "summer-palace") -> Image.Image:
    """The same photograph, decoded."""
    image = Image.open(io.BytesIO(photo(name)), formats=["JPEG"])
    image.load()
    return image


def marked(size: tuple[int, int] = MARKED_SIZE) -> Image.Image:
    """An upright picture with another colour in each quarter: turned or mirrored, it can't pass for itself."""
    image = Image.new("RGB", size)
    draw, (width, height) = ImageDraw.Draw(image), size
    half_x, half_y = width // 2, height // 2
    top, bottom = ((0, 0, half_x, half_y), (half_x, 0, width, half_y)), (half_x, half_y, width, height)
    places = (*top, bottom, (0, half_y, half_x, height))
    for place, colour in zip(places, CORNERS, strict=True):
        draw.rectangle(place, fill=colour)
    return image


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def exif_orientation(number: int, kind: str = "JPEG") -> bytes:
    """`marked()` stored turned, with the EXIF orientation 1..8 that makes it upright again.

    kind: a Pillow format or HEIF.
    """
    exif = Image.Exif()
    exif[_ORIENTATION] = number
    image = marked()
    if number in _STORED_AS:
        image = image.transpose(_STORED_AS[number])
    if kind == "HEIF":
        return _heif(image, exif)
    return _saved(image, kind, exif=exif, quality=95)


@cache
def gps_jpeg() -> bytes:
    """A photograph with a camera, a lens, exposure facts and a place (48.858333 N, 2.294444 W) in its EXIF."""
    exif = Image.Exif()
    exif[_MAKE], exif[_MODEL] = "Stowage Optics", "Model 7"
    exif[_EXIF_IFD] = {
        0x829A: IFDRational(1, 250),  # ExposureTime
        0x829D: IFDRational(28, 10),  # FNumber
        0x8827: 400,  # ISOSpeedRatings
        0x9003: "2024:05:17 18:42:07",  # DateTimeOriginal
        0x9011: "+02:00",  # OffsetTimeOriginal
        0x920A: IFDRational(50),  # FocalLength
        0xA434: "Stowage 50mm f/1.8",  # LensModel
        0x927C: bytes(range(256)) * 16,  # MakerNote: binary, never shown
    }
    exif[_GPS_IFD] = {1: "N", 2: (48.0, 51.0, 30.0), 3: "W", 4: (2.0, 17.0, 40.0), 6: 35.5}
    return _saved(photo_image(), "JPEG", exif=exif, quality=90, xmp=b"<x:xmpmeta>secret place</x:xmpmeta>")


@cache
def png() -> bytes:
    """A photograph as 8-bit RGB PNG."""
    return _saved(photo_image("cat"), "PNG")


@cache
def png_alpha() -> bytes:
    """An opaque red disc on a fully transparent ground, 400x400."""
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((100, 100, 300, 300), fill=(220, 20, 20, 255))
    return _saved(image, "PNG")


@cache
def png_palette() -> bytes:
    """A palette PNG with one transparent colour: green square on nothing, 200x200."""
    image = Image.new("P", (200, 200), 0)
    image.putpalette([0, 0, 0, 20, 200, 20])
    ImageDraw.Draw(image).rectangle((50, 50, 149, 149), fill=1)
    return _saved(image, "PNG", transparency=0)


@cache
def png_16bit() -> bytes:
    """A 16-bit grey PNG, a ramp from black (left) to white (right), 256x64."""
    row = b"\x00" + b"".join(struct.pack(">H", column * 257) for column in range(256))
    return _png(256, 64, 16, 0, zlib.compress(row * 64))


@cache
def gif_animated(frames: int = 3) -> bytes:
    """An animated GIF, 120x80, whose first frame is red; the others are blue."""
    first, rest = Image.new("RGB", (120, 80), (220, 20, 20)), []
    for number in range(1, frames):
        frame = Image.new("RGB", (120, 80), (20, 20, 220))
        ImageDraw.Draw(frame).point((number % 120, number // 120 % 80), fill=(255, 255, 255))
        rest.append(frame)
    return _saved(first, "GIF", save_all=True, append_images=rest, duration=100, loop=0)


@cache
def cmyk_jpeg(*, with_profile: bool = False) -> bytes:
    """A CMYK JPEG, 320x80: pure cyan, magenta, yellow and black side by side.

    The profile, where asked for, says that these inks are duller than the arithmetic: see `profiles.ink_profile`.
    """
    image = Image.new("CMYK", (320, 80))
    draw = ImageDraw.Draw(image)
    for place in range(4):
        ink = tuple(255 if channel == place else 0 for channel in range(4))
        draw.rectangle((place * 80, 0, place * 80 + 79, 79), fill=ink)
    options = {"icc_profile": ink_profile()} if with_profile else {}
    return _saved(image, "JPEG", quality=95, **options)


@cache
def display_p3_jpeg(colour: tuple[int, int, int] = (200, 60, 60)) -> bytes:
    """One colour in Display P3 coordinates with its profile, 200x100. (200, 60, 60) is (217, 42, 52) in sRGB."""
    image = Image.new("RGB", (200, 100), colour)
    return _saved(image, "JPEG", quality=100, subsampling=0, icc_profile=display_p3_profile())


@cache
def webp() -> bytes:
    return _saved(photo_image("coffee"), "WEBP", quality=85)


@cache
def avif() -> bytes:
    return _saved(photo_image("dahlia"), "AVIF", quality=75, speed=9)


@cache
def heic() -> bytes:
    """A photograph as HEIC with a camera in its EXIF."""
    exif = Image.Exif()
    exif[_MAKE] = "Stowage Optics"
    return _heif(photo_image("rocket"), exif)


def _heif(image: Image.Image, exif: Image.Exif) -> bytes:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90, exif=exif.tobytes())
    return out.getvalue()


@cache
def tiff(compression: str = "tiff_lzw") -> bytes:
    return _saved(photo_image("astronaut"), "TIFF", compression=compression)


@cache
def multipage_tiff(pages: int = 3) -> bytes:
    first, *rest = (Image.new("L", (40, 30), 40 + number) for number in range(pages))
    return _saved(first, "TIFF", save_all=True, append_images=rest)


@cache
def large_jpeg(width: int, height: int, *, quality: int = 88, profile: bool = False) -> bytes:
    """A photograph blown up to width x height with film grain, so that its bytes are as many as a camera's."""
    image = photo_image("summer-palace").resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((width, height), 40)
    image = Image.blend(image, Image.merge("RGB", (grain, grain, grain)), 0.15)
    options = {"icc_profile": display_p3_profile()} if profile else {}
    return _saved(image, "JPEG", quality=quality, **options)


@cache
def zip_archive() -> bytes:
    """A zip with two text files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("readme.txt", "notes/plan.txt"):
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 17, 18, 42, 6)), f"This is {name}.\n" * 40)
    return out.getvalue()


@cache
def pdf(pages: int = 2) -> bytes:
    """A hand-made A4 PDF; each page has a red bar at its top and its number as text."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects.append(f"<</Type/Pages/Count {pages}/Kids[{kids}]>>".encode())
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for number in range(pages):
        drawing = f"0.8 0.1 0.1 rg 0 742 595 100 re f 0 g BT /F 48 Tf 72 600 Td (Page {number + 1}) Tj ET".encode()
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {5 + 2 * number} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>".encode()
        )
        objects.append(b"<</Length %d>>\nstream\n%b\nendstream" % (len(drawing), drawing))
    return _pdf_file(objects)


@cache
def pdf_locked() -> bytes:
    """A PDF that opens only with a password, which nobody knows."""
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/P -44/O<%b>/U<%b>>>/ID[<00><00>]" % (b"5a" * 32, b"a5" * 32)
    return pdf(1).replace(b"/Root 1 0 R", b"/Root 1 0 R" + lock)


def _pdf_file(objects: list[bytes]) -> bytes:
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + trailer


@cache
def bomb_900() -> bytes:
    """A PNG of about 110 KB that says it has 900 megapixels, and has them (30000x30000, one bit each)."""
    return _png(30_000, 30_000, 1, 0, _zeros(30_000 * (30_000 // 8 + 1)))


@cache
def bomb_169() -> bytes:
    """A PNG of about 660 KB with 169 megapixels: under Pillow's own limit, 1.9 GB when decoded (13000x13000 RGBA)."""
    return _png(13_000, 13_000, 8, 6, _zeros(13_000 * (13_000 * 4 + 1)))


@cache
def png_of_zeros(width: int, height: int) -> bytes:
    """A black RGB PNG of any size, small as a file."""
    return _png(width, height, 8, 2, _zeros(height * (width * 3 + 1)))


@cache
def jpeg_with_html() -> bytes:
    """A JPEG header with HTML behind it: libmagic calls it a JPEG."""
    return photo()[:20] + b"<html><body><script>alert(document.cookie)</script></body></html>" * 20


@cache
def jpeg_truncated() -> bytes:
    """The first third of a photograph."""
    return photo()[: len(photo()) // 3]


@cache
def svg_with_script() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><script>alert(1)</script></svg>'


def _png(width: int, height: int, depth: int, colour_type: int, data: bytes) -> bytes:
    """A PNG file around ready-made zlib data (scanlines with filter bytes)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """A zlib stream of `count` zero bytes, made without ever holding or packing them all.

    After a full flush a block depends on nothing before it, so one packed block can be repeated.
    """
    size = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail = rest.compress(bytes(count % size)) + rest.flush()
    adler = count % 65521 << 16 | 1  # the checksum of zeros is known: a stays 1, b counts them
    return b"\x78\xda" + block * (count // size) + tail + struct.pack(">I", adler)
