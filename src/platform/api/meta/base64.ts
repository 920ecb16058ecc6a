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
