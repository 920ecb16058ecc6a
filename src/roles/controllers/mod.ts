export { startControllers, type Controllers, type ControllersOptions } from './start.ts';
