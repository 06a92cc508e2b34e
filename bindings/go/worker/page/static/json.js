// Says where a text stops being JSON, by line and column.

export function jsonError(source, kind) {
  let value;
  try {
    value = JSON.parse(source);
  } catch (error) {
    const at = position(source, String(error.message));
    return `This is not JSON${at}. ${hint(source)}`.trim();
  }
  const found = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  if (found === kind) return '';
  return kind === 'array' ? `A JSON array is needed, such as [1, "two"]; this is ${article(found)}.` : `A JSON object is needed, such as {"name": 1}; this is ${article(found)}.`;
}

const article = (kind) => (kind === 'null' ? 'null' : kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`);

function position(source, message) {
  const found = /position (\d+)/.exec(message);
  if (!found) return /end of JSON|unterminated/i.test(message) ? ': it ends too early' : '';
  const before = source.slice(0, Number(found[1]));
  const line = before.split('\n').length;
  return `: line ${line}, column ${before.length - before.lastIndexOf('\n')}`;
}

function hint(source) {
  if (/'/.test(source)) return 'Texts have double quotes: "text".';
  if (/\b(True|False|None)\b/.test(source)) return 'It is true, false and null in JSON.';
  if (/,\s*[\]}]/.test(source)) return 'There is a comma before the closing bracket.';
  return '';
}
