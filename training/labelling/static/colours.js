// A colour a keypoint: told apart from each other, bright enough for dark fur, outlined for light bedding.

const FIRST = [
  "#ff5d5d", "#4cc9ff", "#ffd84a", "#5fe88d", "#ee6bff", "#ff9f43", "#26f0e0", "#b6f24a", "#8f97ff", "#ff8fb8",
];

export function colour(index) {
  if (index < FIRST.length) return FIRST[index];
  return `hsl(${(index * 137.508) % 360} 90% 68%)`;
}

// Of the views of one instant: calmer, since lines are long.
const VIEWS = ["#ffb454", "#6cb4ff", "#63d297", "#e58cff", "#ff8080", "#d9d96a", "#7fe0e0", "#c0a8ff"];

export const viewColour = (index) => VIEWS[index % VIEWS.length];
