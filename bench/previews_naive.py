"""The peer: the original opened, turned and shrunk once for every size. Arguments: source, folder for the results."""

import io
import sys

from PIL import Image, ImageCms, ImageOps

SIZES = (("web", 1920, 85), ("large", 1200, 80), ("medium", 600, 80), ("small", 300, 80), ("thumb", 150, 80))


def main(source: str, folder: str) -> None:
    """Writes five WebP files."""
    for name, longest, quality in SIZES:
        image = ImageOps.exif_transpose(Image.open(source))
        profile = image.info.get("icc_profile")
        image.thumbnail((longest, longest))
        if profile:
            srgb = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb) or image
        image.save(f"{folder}/{name}.webp", quality=quality, icc_profile=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
