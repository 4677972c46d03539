/** What pictures on a canvas share: the width that there is, and a canvas for it at the resolution of the screen. */
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** The width of a box, followed as it changes. */
export function useBoxWidth(): readonly [RefObject<HTMLDivElement>, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(400);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => setWidth(Math.max(120, box.current?.clientWidth ?? 400)));
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, width];
}

/** An empty canvas of this size, in pixels of the page. */
export function emptyCanvas(
  canvas: HTMLCanvasElement | null,
  width: number,
  height: number,
): CanvasRenderingContext2D | undefined {
  const context = canvas?.getContext('2d');
  if (!context) return undefined;
  const scale = window.devicePixelRatio || 1;
  context.canvas.width = width * scale;
  context.canvas.height = height * scale;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return context;
}
