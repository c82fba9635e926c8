/** A dozen typical files, generated in the browser, to try the demo without own files. */

const REGIONS = ['North', 'South', 'East', 'West'];
const PRODUCTS = ['Lamp', 'Desk', 'Chair', 'Shelf', 'Rug', 'Vase', 'Clock', 'Mirror'];
const ROWS = 6000;

/** @returns {Promise<File[]>} */
export async function sampleFiles() {
  const orders = ['2026-07', '2026-08', '2026-09'].map((month) => [`orders-${month}.csv`, ordersOf(month)]);
  const others = { 'app.log': log(), 'stock.jsonl': stock(), 'meeting-notes.md': NOTES, 'chart.svg': chart() };
  const texts = [...orders, ...Object.entries(others)];
  const pictures = ['terrace', 'harbour', 'forest', 'market', 'bridge'].map((name) => picture(`photo-${name}.jpg`));
  return [...texts.map(([name, text]) => new File([text], name)), ...(await Promise.all(pictures))];
}

const random = (below) => Math.floor(Math.random() * below);
const pick = (list) => list[random(list.length)];
const lines = (count, line) => Array.from({ length: count }, (_, index) => line(index)).join('\n');

const ordersOf = (month) =>
  'order,date,region,product,quantity\n' +
  lines(ROWS, (index) => {
    const day = String(1 + Math.floor((index / ROWS) * 30)).padStart(2, '0');
    return `${100_000 + index},${month}-${day},${pick(REGIONS)},${pick(PRODUCTS)},${1 + random(12)}`;
  });

const log = () =>
  lines(2 * ROWS, (index) => {
    const time = new Date(Date.UTC(2026, 8, 1) + index * 7000).toISOString();
    return `${time} INFO GET /shop/${pick(PRODUCTS)} 200 ${1 + random(180)} ms`;
  });

const stock = () =>
  lines(400, (shelf) => JSON.stringify({ shelf, product: pick(PRODUCTS), region: pick(REGIONS), onHand: random(400) }));

const NOTES = `# Planning, 1 September

- Orders are up on the quarter before; rugs lead.
- The warehouse in the north moves in October.
- The photos for the catalogue are chosen.
`;

const chart = () => {
  const bar = (index) => `<rect x="${index * 40}" y="${random(160)}" width="30" height="200" fill="slategray"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 200">${lines(8, bar)}</svg>`;
};

/** A sky, hills and grain: as hard to compress as a photo. */
async function picture(name) {
  const [width, height, hue] = [1200, 800, random(360)];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  for (let hill = 0; hill < 6; hill += 1) {
    context.fillStyle = `hsl(${hue + hill * 30} 40% ${80 - hill * 9}%)`;
    context.beginPath();
    context.ellipse(random(width), height * (0.5 + hill * 0.12), width, height * (hill ? 0.3 : 2), 0, 0, 7);
    context.fill();
  }
  const image = context.getImageData(0, 0, width, height);
  for (let at = 0; at < image.data.length; at += 1) if (at % 4 < 3) image.data[at] += random(24) - 12;
  context.putImageData(image, 0, 0);
  return new File([await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.88 })], name);
}
