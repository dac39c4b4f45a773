import "./style/theme.css";
import "./style/frame.css";
import "./style/header.css";
import "./style/querybar.css";
import "./style/histogram.css";
import "./style/facets.css";
import "./style/list.css";
import "./style/drawer.css";
import "./style/dialog.css";

import { render } from "preact";
import { App } from "./model/app";
import { Frame } from "./view/frame";

const app = new App();
const root = document.getElementById("app");
if (root) render(<Frame app={app} />, root);
void app.start();
