// Large files on their way in parts: the requests for the next ones, and which have arrived. For Uppy's AwsS3 plugin.
import { gate } from "./semaphore.js";
import { sendBytes, signParts } from "./uploads_api.js";

const AHEAD = 8; // parts that are signed at once
const FRESH_MS = 30 * 60 * 1000; // signatures work for an hour; one that waited longer than this is asked for anew
const MB = 2 ** 20;
// Large files do not hold up small ones: each has its own gate. What was begun is sent before more is begun. Small ones are
// read ahead of that, so that all that wait then are begun in one request.
const large = gate(3);
const small = gate(4);
const reader = gate(4);
const [BEGIN, SIGN, SEND] = [0, 1, 2];

/** When small files are read, and when those that were read are begun. */
export const readSmall = (read) => reader(0, read);
export const beginSmall = (begin) => small(BEGIN, begin);

/** Whether a file goes in parts, as far as the page can tell; `begin` has the last word. */
const inParts = ({ parts }, { size, meta }) => size >= parts.from_bytes && !meta.single;

/** How large a file's parts are: the portal's own rule (uploads/parts.py). */
const partSize = ({ parts }, size) => Math.max(parts.part_bytes, Math.ceil(size / (parts.most * MB)) * MB);

/** Said of a file that `begin` wants in one request: it is added again so. */
export class Single extends Error {}

/** What the parts of one upload are known by: `upload` is the portal's answer, fresh or of one that was interrupted. */
export function shipment(policy, upload) {
  if (upload.method !== "s3_multipart") throw new Single();
  return {
    id: upload.upload_id,
    count: Math.ceil(upload.size_bytes / partSize(policy, upload.size_bytes)),
    there: new Map(upload.parts.map((part) => [part.part_number, part.etag])),
    signed: new Map(), // number → {request, until}
    release: () => {},
  };
}

/** Uppy's options: `open` begins a file that goes in one request, `create` one in parts, `shipmentOf` finds it again. */
export function sending(policy, { open, create, shipmentOf }) {
  return {
    limit: 0, // ours are finer
    retryDelays: [], // each request is repeated where it is made
    shouldUseMultipart: (file) => inParts(policy, file),
    getChunkSize: ({ size }) => partSize(policy, size),
    createMultipartUpload: async (file) => {
      const { id } = await large(BEGIN, () => create(file));
      return { uploadId: id, key: id };
    },
    getUploadParameters: open,
    signPart: (file, { partNumber }) => large(SIGN, () => signature(policy, shipmentOf(file), partNumber)),
    // Asked after a pause: what this page has sent, or found there, is not sent again.
    listParts: async (file) => [...shipmentOf(file).there].map(([PartNumber, ETag]) => ({ PartNumber, ETag })),
    completeMultipartUpload: async () => ({}), // the commit does
    abortMultipartUpload: async () => {}, // the portal does, when the file is taken off the list
    uploadPartBytes: (options) => (options.signature.arrived ? large : small)(SEND, () => send(options)),
  };
}

async function signature(policy, shipment, number) {
  const etag = shipment.there.get(number);
  if (etag !== undefined) return { there: etag, url: "" };
  const found = shipment.signed.get(number);
  if (!found || found.until < Date.now()) ask(policy, shipment, number);
  const { url, headers } = (await shipment.signed.get(number).request).get(number);
  shipment.signed.delete(number); // once used it is as old as the next attempt makes it
  return { url, headers, arrived: (sent) => shipment.there.set(number, sent) };
}

function ask(policy, shipment, first) {
  const numbers = [];
  for (let number = first; number <= shipment.count && numbers.length < AHEAD; number += 1) {
    if (number === first || !(shipment.there.has(number) || shipment.signed.has(number))) numbers.push(number);
  }
  const request = signParts(policy, shipment.id, numbers).then((parts) => new Map(parts.map((part) => [part.part_number, part])));
  for (const number of numbers) shipment.signed.set(number, { request, until: Date.now() + FRESH_MS });
  request.catch(() => numbers.forEach((number) => shipment.signed.delete(number)));
}

/** Uppy's `uploadPartBytes`, for whole files, too. What is there already counts as sent. */
async function send(options) {
  const { there, arrived } = options.signature;
  if (there !== undefined) {
    options.onProgress?.({ loaded: options.size, lengthComputable: true });
    options.onComplete?.(there);
    return { ETag: there };
  }
  const sent = await sendBytes(options);
  arrived?.(sent.ETag);
  return sent;
}
