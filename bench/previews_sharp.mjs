// The peer: one pipeline, cloned for each size, as sharp's manual shows it. Arguments: source, folder for the results.
import sharp from 'sharp'

const [source, folder] = process.argv.slice(2)
const sizes = [['web', 1920, 85], ['large', 1200, 80], ['medium', 600, 80], ['small', 300, 80], ['thumb', 150, 80]]
const pipeline = sharp(source).rotate()
await Promise.all(sizes.map(([name, longest, quality]) => pipeline.clone()
  .resize({ width: longest, height: longest, fit: 'inside', withoutEnlargement: true })
  .webp({ quality })
  .toFile(`${folder}/${name}.webp`)))
