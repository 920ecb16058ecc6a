/** Base64 with padding, the form that byte fields have in JSON. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

export function base64Of(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    out += alphabet.charAt((bits >> 18) & 63) + alphabet.charAt((bits >> 12) & 63);
    out += left > 1 ? alphabet.charAt((bits >> 6) & 63) : '=';
    out += left > 2 ? alphabet.charAt(bits & 63) : '=';
  }
  return out;
}

/** The bytes of base64 with padding. What is none of its characters counts as nothing. */
export function bytesOfBase64(text: string): Uint8Array {
  const digits = text.replaceAll('=', '');
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (const digit of digits) {
    // At most eight bits wait for the rest of their byte.
    bits = ((bits << 6) | Math.max(0, alphabet.indexOf(digit))) & 0xffff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[at] = (bits >> bitCount) & 255;
    at += 1;
  }
  return bytes;
}
