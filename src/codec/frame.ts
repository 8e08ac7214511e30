// Compression as the rest of the program sees it: one LZ4 frame per object, as a stream. See frame-format for the bytes.

export { type DecodeFrameOptions, decodeFrame } from './frame-decode.js'
export { type EncodeFrameOptions, encodeFrame } from './frame-encode.js'
