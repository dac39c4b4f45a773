/** A Wait is for so many milliseconds, or until somebody ends it. */
export class Wait {
  private wake: (() => void) | null = null;

  async for(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = null;
  }

  end(): void {
    this.wake?.();
  }
}
