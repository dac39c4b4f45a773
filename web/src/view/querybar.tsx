import type { App } from "../model/app";
import { useModels } from "../model/model";

export function QueryBar({ app }: { app: App }) {
  useModels(app);
  return <div class="querybar" />;
}
