import { render } from "preact";
import "./style/theme.css";

const app = document.getElementById("app");
if (app) render(<h1>vSphere events</h1>, app);
