import * as subpy from './index.js';

export * from './index.js';
export default subpy;
