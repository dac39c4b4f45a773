import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { heightsOf, stacked, type Strip, tickWords } from "../model/buckets";

/** Pixels of the strip, of which the axis has some; histogram.css has both. */
const height = 88;
const axisHeight = 18;
/** What is above the highest bar, for the words there. */
const above = 14;
/** The widest bar: a single event does not fill the strip. */
const widest = 80;
/** How wide a character at the ends of the strip is, and how far from there the next mark of the axis. */
const character = 6.2;
const margin = 32;
/** How far apart marks may be, in milliseconds: a second to four weeks. */
const apart = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_419_200].map((s) => 1000 * s);

const nothing: Strip = { from: 0, to: 1, width: 1, buckets: [], most: 0, root: false, open: false };

/** A Plot draws a strip into an element, again and again in the same place. */
export class Plot {
  private strip = nothing;
  private utc = false;
  private ends = ["", ""];
  private readonly plot: uPlot;
  private readonly size: ResizeObserver;

  constructor(box: HTMLElement) {
    const font = `11px ${getComputedStyle(box).fontFamily}`;
    this.plot = new uPlot(
      {
        width: Math.max(1, box.clientWidth),
        height,
        ms: 1,
        tzDate: (at) => (this.utc ? uPlot.tzDate(new Date(at), "Etc/UTC") : new Date(at)),
        padding: [above, 0, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true, range: () => [this.strip.from, this.strip.to] },
          y: { auto: false, range: () => [0, 1] },
        },
        axes: [
          {
            size: axisHeight,
            gap: 3,
            space: 110,
            incrs: apart,
            font,
            stroke: () => colourOf("--muted"),
            grid: { show: false },
            ticks: { show: false },
            values: (_, splits, __, ___, apart) => splits.map((at) => this.tick(at, apart)),
          },
          { show: false },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [() => this.draw()] },
      },
      [[], []],
      box,
    );
    this.size = new ResizeObserver(() => {
      if (box.clientWidth > 0 && box.clientWidth !== this.plot.width) this.plot.setSize({ width: box.clientWidth, height });
    });
    this.size.observe(box);
  }

  /** Shows a strip, or nothing; what stands at its ends is left room for. */
  show(strip: Strip | null, utc: boolean, ends: string[]): void {
    this.strip = strip ?? nothing;
    this.ends = ends;
    this.utc = utc;
    this.plot.batch(() => {
      this.plot.setData([this.strip.buckets.map((b) => b.at), this.strip.buckets.map((b) => b.total)], false);
      this.plot.setScale("x", { min: this.strip.from, max: this.strip.to });
      this.plot.redraw(false, true);
    });
  }

  close(): void {
    this.size.disconnect();
    this.plot.destroy();
  }

  private tick(at: number, apart: number): string | null {
    if (this.strip === nothing) return null;
    const x = this.plot.valToPos(at, "x");
    const [first = 0, last = 0] = this.ends.map((words) => character * words.length + margin);
    return x < first || x > this.plot.width - last ? null : tickWords(at, apart, this.utc);
  }

  private draw(): void {
    const { ctx, bbox } = this.plot;
    const scale = uPlot.pxRatio;
    const colours = stacked.map((s) => colourOf(s === "other" ? "--line-strong" : `--${s}-bar`));
    const ground = bbox.top + bbox.height;
    ctx.save();
    for (const bucket of this.strip.buckets) {
      if (bucket.total === 0) continue;
      const left = Math.round(this.plot.valToPos(bucket.at, "x", true));
      const right = Math.round(this.plot.valToPos(bucket.at + this.strip.width, "x", true));
      const gap = right - left > 4 * scale ? Math.round(scale) * (right - left > 12 * scale ? 2 : 1) : right - left > 2 ? 1 : 0;
      const width = Math.max(1, Math.min(right - left - gap, Math.round(widest * scale)));
      let top = ground;
      heightsOf(bucket, this.strip, bbox.height, Math.round(2 * scale)).forEach((h, i) => {
        if (h === 0) return;
        ctx.fillStyle = colours[i] as string;
        ctx.fillRect(left + Math.floor((right - left - gap - width) / 2), top - h, width, h);
        top -= h;
      });
    }
    ctx.fillStyle = colourOf("--line");
    ctx.fillRect(bbox.left, ground, bbox.width, Math.max(1, Math.round(scale)));
    ctx.restore();
  }
}

/** The value of a variable of the theme. */
function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
