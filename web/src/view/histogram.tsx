import type { App } from "../model/app";
import { useModels } from "../model/model";

export function Histogram({ app }: { app: App }) {
  useModels(app);
  return <div class="histogram" />;
}
